//! How to reach NATS, and as whom. Knows nothing of connections.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Secret, SettingsError, Urls, duration, some_path};

/// How to reach NATS.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub struct Connection {
    /// Servers, comma-separated
    #[arg(long, env, global = true, value_name = "URLS", default_value = "nats://localhost:4222")]
    pub nats_url: Urls,
    /// Credentials file
    #[arg(long, env, global = true, value_name = "FILE", value_parser = some_path)]
    pub nats_creds: Option<PathBuf>,
    /// File with an nkey seed
    #[arg(long, env, global = true, value_name = "FILE", value_parser = some_path)]
    pub nats_nkey: Option<PathBuf>,
    /// User name
    #[arg(long, env, global = true, value_name = "NAME")]
    pub nats_user: Option<String>,
    /// The user's password; better given by environment or file than as a flag
    #[arg(long, env, global = true, value_name = "PASSWORD", hide_env_values = true)]
    pub nats_password: Option<Secret>,
    /// PEM file with the CA of the servers' certificates
    #[arg(long, env, global = true, value_name = "FILE", value_parser = some_path)]
    pub nats_tls_ca: Option<PathBuf>,
    /// PEM file with the own certificate
    #[arg(long, env, global = true, value_name = "FILE", value_parser = some_path)]
    pub nats_tls_cert: Option<PathBuf>,
    /// PEM file with the own certificate's key
    #[arg(long, env, global = true, value_name = "FILE", value_parser = some_path)]
    pub nats_tls_key: Option<PathBuf>,
    /// What the subjects begin with that replies come to: one of its own for each user keeps others from
    /// reading along
    #[arg(long, env, global = true, value_name = "SUBJECT", default_value = "_INBOX", value_parser = inbox_prefix)]
    pub nats_inbox_prefix: String,
    /// JetStream domain, on leaf nodes
    #[arg(long, env, global = true, value_name = "DOMAIN")]
    pub nats_js_domain: Option<String>,
    /// How long to try at first; a connection lost later is tried for ever
    #[arg(long, env, global = true, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub nats_connect_timeout: Duration,
}

impl Connection {
    /// The JetStream domain, empty for the server's own.
    pub fn js_domain(&self) -> &str {
        self.nats_js_domain.as_deref().unwrap_or_default()
    }

    /// Checks what no single value shows.
    ///
    /// # Errors
    /// [`SettingsError::Contradiction`] names the settings.
    pub fn check(&self) -> Result<(), SettingsError> {
        let pair = |one: bool, other: bool, names: &str| {
            if one == other {
                Ok(())
            } else {
                Err(SettingsError::Contradiction(format!("{names} go together: set both or none")))
            }
        };
        let user = self.nats_user.as_ref().is_some_and(|user| !user.is_empty());
        let password = self.nats_password.as_ref().is_some_and(|password| !password.reveal().is_empty());
        pair(user, password, "NATS_USER and NATS_PASSWORD")?;
        pair(self.nats_tls_cert.is_some(), self.nats_tls_key.is_some(), "NATS_TLS_CERT and NATS_TLS_KEY")
    }
}

/// What begins like this is nobody's domain, and nothing of the server's own.
const INBOX_BEGIN: char = '_';
/// Longest prefix in bytes: what follows needs room in a subject.
const INBOX_BYTES_MAX: usize = 128;

fn inbox_prefix(text: &str) -> Result<String, String> {
    let token = |token: &str| {
        !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    if text.starts_with(INBOX_BEGIN) && text.len() <= INBOX_BYTES_MAX && text.split('.').all(token) {
        Ok(text.to_owned())
    } else {
        Err("it takes a subject like _INBOX.alice: tokens of A-Z, a-z, 0-9, _ and - with dots between, the first of which begins with _".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_prefix_is_nobodys_domain_and_has_no_wildcard() {
        for good in ["_INBOX", "_INBOX.alice", "_x.a-b.c_9"] {
            assert_eq!(inbox_prefix(good), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "INBOX",
            "agent.events",
            "$JS",
            "_INBOX.",
            "_INBOX..a",
            "_INBOX.*",
            "_INBOX.>",
            "_a b",
            &"_".repeat(129),
        ] {
            assert!(inbox_prefix(bad).is_err(), "{bad}");
        }
    }
}
