//! A certificate authority of the test's own with a certificate for a server and one for a
//! client, and others that will not do. It must not know who uses them.

use std::path::PathBuf;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

/// Where the tests' servers are.
const HERE: [&str; 2] = ["localhost", "127.0.0.1"];

/// PEM files in a directory of their own.
pub struct Certificates {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug)]
pub enum Flaw {
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It is for this name and none else.
    Named(&'static str),
}

impl Certificates {
    /// Makes all of them.
    pub fn new() -> Result<Self> {
        let dir = TempDir::with_prefix("agent-service-certificates-")?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        std::fs::write(dir.path().join("ca.pem"), params.self_signed(&key)?.pem())?;
        let made = Self { dir, issuer: Issuer::new(params, key) };
        let (server, client) = (ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth);
        // Servers of a cluster, and leaf nodes, log in at one another.
        made.issue("server", vec![server, client.clone()], None)?;
        made.issue("client", vec![client], None)?;
        Ok(made)
    }

    /// Makes `<name>.pem` and `<name>-key.pem` with something wrong.
    pub fn flawed(&self, name: &str, flaw: Flaw) -> Result<()> {
        self.issue(name, vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth], Some(flaw))
    }

    /// One of `ca.pem`, `server.pem`, `server-key.pem`, `client.pem`, `client-key.pem`, and those made since.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn issue(&self, name: &str, usages: Vec<ExtendedKeyUsagePurpose>, flaw: Option<Flaw>) -> Result<()> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(match flaw {
            Some(Flaw::Named(name)) => vec![name.to_owned()],
            _ => HERE.map(str::to_owned).to_vec(),
        })?;
        match flaw {
            Some(Flaw::Expired) => params.not_after = date_time_ymd(2020, 1, 1),
            Some(Flaw::NotYetValid) => params.not_before = date_time_ymd(4000, 1, 1),
            Some(Flaw::Named(_)) | None => {}
        }
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = usages;
        std::fs::write(self.file(&format!("{name}.pem")), params.signed_by(&key, &self.issuer)?.pem())?;
        std::fs::write(self.file(&format!("{name}-key.pem")), key.serialize_pem())?;
        Ok(())
    }
}
