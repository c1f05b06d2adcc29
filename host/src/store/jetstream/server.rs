//! What the connected server must be able to do, looked up before anything is served.

use async_nats::Client;
use async_nats::jetstream::Context;
use serde_json::{Value, json};

use super::{ApiError, api, code};

/// The oldest server that knows atomic batches.
const VERSION_MIN: (u64, u64) = (2, 12);

/// What a host needs to know of its server.
#[derive(Debug, Clone)]
pub struct ServerFacts {
    /// Its version.
    pub version: String,
    /// The JetStream domain that answers, empty where it has none.
    pub domain: String,
}

/// Checks the server and looks up its JetStream domain.
///
/// # Errors
/// [`ServerError`] names what is missing and the remedy.
pub async fn check_server(client: &Client, context: &Context, js_domain: &str) -> Result<ServerFacts, ServerError> {
    let version = client.server_info().version;
    if parse(&version).is_none_or(|found| found < VERSION_MIN) {
        return Err(ServerError::TooOld(version));
    }
    let account = match api(context, "INFO".into(), &json!({})).await {
        Ok(account) => account,
        Err(error) if error.is(code::JETSTREAM_NOT_ENABLED) || error.is(code::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT) => {
            return Err(ServerError::NoJetStream(error.to_string()));
        }
        Err(error @ ApiError::Silent(_)) => return Err(ServerError::Silent(error.to_string())),
        Err(error @ ApiError::Unreachable(_)) if js_domain.is_empty() => {
            return Err(ServerError::NoJetStream(error.to_string()));
        }
        Err(error @ ApiError::Unreachable(_)) => {
            return Err(ServerError::NoDomain { domain: js_domain.to_owned(), why: error.to_string() });
        }
        Err(error) => return Err(ServerError::Refused(error.to_string())),
    };
    let domain = account.get("domain").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(ServerFacts { version, domain })
}

/// Major and minor of a version like `2.15.1` or `2.12.0-RC.1`.
fn parse(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Why a server cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ServerError {
    /// Too old.
    #[error("the NATS server has version {0}, at least 2.12 is needed for atomic batches: upgrade nats-server")]
    TooOld(String),
    /// No JetStream.
    #[error(
        "the NATS server offers no JetStream ({0}): start nats-server with `-js`, enable it for the account, or name its domain with NATS_JS_DOMAIN"
    )]
    NoJetStream(String),
    /// JetStream is there and does not answer in time.
    #[error("{0}: has it lost its leader, and may this user publish to $JS.API.INFO?")]
    Silent(String),
    /// No JetStream in the domain that the settings name.
    #[error(
        "no JetStream domain `{domain}` answers ({why}): NATS_JS_DOMAIN must name one that this server has or reaches"
    )]
    NoDomain {
        /// The domain.
        domain: String,
        /// Why.
        why: String,
    },
    /// The account may not ask.
    #[error("{0}")]
    Refused(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare() {
        assert!(parse("2.11.9") < Some(VERSION_MIN));
        assert!(parse("2.12.0-RC.1") >= Some(VERSION_MIN));
        assert!(parse("3.0.0") >= Some(VERSION_MIN));
        assert_eq!(parse("unknown"), None);
    }
}
