//! A certificate authority of the test's own with a certificate for a server and one for a
//! client. It must not know who uses them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tempfile::TempDir;

/// PEM files in a directory of their own.
pub struct Certificates {
    dir: TempDir,
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
        let issuer = Issuer::new(params, key);
        let (server, client) = (ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth);
        // Servers of a cluster, and leaf nodes, log in at one another.
        issue(dir.path(), "server", vec![server, client.clone()], &issuer)?;
        issue(dir.path(), "client", vec![client], &issuer)?;
        Ok(Self { dir })
    }

    /// One of `ca.pem`, `server.pem`, `server-key.pem`, `client.pem`, `client-key.pem`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A certificate that ended in 2020, and its key, in files of this directory.
pub fn expired_certificate(dir: &Path) -> Result<(PathBuf, PathBuf)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.not_before = date_time_ymd(2019, 1, 1);
    params.not_after = date_time_ymd(2020, 1, 1);
    let (certificate, key_file) = (dir.join("expired.pem"), dir.join("expired-key.pem"));
    std::fs::write(&certificate, params.self_signed(&key)?.pem())?;
    std::fs::write(&key_file, key.serialize_pem())?;
    Ok((certificate, key_file))
}

fn issue(dir: &Path, name: &str, usages: Vec<ExtendedKeyUsagePurpose>, issuer: &Issuer<'_, KeyPair>) -> Result<()> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = usages;
    std::fs::write(dir.join(format!("{name}.pem")), params.signed_by(&key, issuer)?.pem())?;
    std::fs::write(dir.join(format!("{name}-key.pem")), key.serialize_pem())?;
    Ok(())
}
