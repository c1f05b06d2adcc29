//! The configurations of `deploy/nats/secured` on this machine: certificates and keys made for one
//! test, and in copies of the files only addresses and directories fitted. It must not know what the
//! configurations promise.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use async_nats::ConnectOptions;
use nkeys::KeyPair;
use tempfile::TempDir;
use xtask::nats_server::{NatsServer, NatsServerBuilder};

use crate::certificates::Certificates;
use crate::deployment::shipped_path;
use crate::host::{Host, HostBuilder};
use crate::sites::fit;

/// Where the files say that certificates and streams are.
const CERTIFICATES: &str = "/etc/nats/certs";
const STORE: &str = "/var/lib/nats/jetstream";

/// Certificates, and the keys of those who may connect.
pub struct Secured {
    certificates: Certificates,
    service: KeyPair,
    system: KeyPair,
    site: KeyPair,
    dir: TempDir,
}

/// A text in a file of `deploy/nats` and what to put in its place.
pub type Fitted<'a> = (&'a str, &'a [(&'a str, &'a str)]);

impl Secured {
    /// Makes all of them.
    pub fn new() -> Result<Self> {
        let made = Self {
            certificates: Certificates::new()?,
            service: KeyPair::new_user(),
            system: KeyPair::new_user(),
            site: KeyPair::new_user(),
            dir: TempDir::with_prefix("agent-service-secured-")?,
        };
        fs::write(made.key_file(), made.service.seed()?)?;
        Ok(made)
    }

    /// A server of the file with this name, in a copy of its own called `copy`.
    pub fn server(&self, file: &str, copy: &str, fitted: &[Fitted<'_>]) -> Result<NatsServerBuilder> {
        let home = self.dir.path().join(copy);
        for folder in ["", "secured", "roles"] {
            fs::create_dir_all(home.join(folder))?;
            for entry in fs::read_dir(shipped_path("nats").join(folder))? {
                let entry = entry?;
                if entry.file_type()?.is_file() {
                    fs::copy(entry.path(), home.join(folder).join(entry.file_name()))?;
                }
            }
        }
        let certificates = self.certificates.file("ca.pem");
        let certificates = certificates.parent().context("a file is in a directory")?.display().to_string();
        let store = home.join("store").display().to_string();
        let from_dir: [(&str, &str); 3] = [
            (&format!("{CERTIFICATES}/server.pem"), &format!("{certificates}/server.pem")),
            (&format!("{CERTIFICATES}/server-key.pem"), &format!("{certificates}/server-key.pem")),
            (&format!("{CERTIFICATES}/ca.pem"), &format!("{certificates}/ca.pem")),
        ];
        change(&home.join("secured/certificates.conf"), &from_dir)?;
        for (file, replaced) in fitted {
            change(&home.join(file), replaced)?;
            if fs::read_to_string(home.join(file))?.contains(STORE) {
                change(&home.join(file), &[(STORE, &store), ("http: 127.0.0.1:8222", "")])?;
            }
        }
        // The harness's own file lies in a directory beside this one; `include` takes relative paths only.
        let beside = self.dir.path().file_name().context("a directory has a name")?.to_string_lossy();
        Ok(NatsServer::builder()
            .without_jetstream()
            .settings(&format!("include \"../{beside}/{copy}/{file}\""))
            .env("AGENT_SERVICE_NKEY", &self.service.public_key())
            .env("NATS_SYSTEM_NKEY", &self.system.public_key())
            .env("SITE_A_NKEY", &self.site.public_key())
            .env("SITE_SEED", &self.site.seed()?))
    }

    /// A login of the service, for the test's own client.
    pub fn login(&self) -> Result<ConnectOptions> {
        self.login_of(&self.service)
    }

    /// A login of somebody else whom the server knows.
    pub fn login_of(&self, user: &KeyPair) -> Result<ConnectOptions> {
        let file = |name: &str| self.certificates.file(name);
        Ok(ConnectOptions::with_nkey(user.seed()?)
            .require_tls(true)
            .add_root_certificates(file("ca.pem"))
            .add_client_certificate(file("client.pem"), file("client-key.pem")))
    }

    /// The file with the host's key.
    pub fn key_file(&self) -> PathBuf {
        self.dir.path().join("service.nk")
    }

    /// A host that logs in with key and certificate.
    pub fn host(&self, url: &str) -> Result<HostBuilder> {
        let certificate = |name: &str| self.certificates.file(name).display().to_string();
        Ok(Host::builder_for(url)?
            .env("NATS_NKEY", self.key_file().display())
            .env("NATS_TLS_CA", certificate("ca.pem"))
            .env("NATS_TLS_CERT", certificate("client.pem"))
            .env("NATS_TLS_KEY", certificate("client-key.pem")))
    }
}

fn change(file: &Path, replaced: &[(&str, &str)]) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = fit(&text, replaced).with_context(|| format!("in {}", file.display()))?;
    fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
}
