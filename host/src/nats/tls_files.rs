//! The PEM files that the TLS settings name: whether they hold what they should, until when they are
//! valid, and whether key and certificate are a pair. Knows nothing of connections.

use std::path::Path;

use async_nats::rustls::crypto::ring::default_provider;
use async_nats::rustls::pki_types::pem::PemObject;
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use async_nats::rustls::sign::CertifiedKey;
use async_nats::rustls::{Error, InconsistentKeys};

use super::NatsError;
use crate::clock::Timestamp;
use crate::config::Connection;
use crate::name::printable;

const CA: &str = "NATS_TLS_CA";
const CERTIFICATE: &str = "NATS_TLS_CERT";
const KEY: &str = "NATS_TLS_KEY";

/// A certificate in one of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The setting that names its file.
    pub setting: &'static str,
    /// Whose it is.
    pub subject: String,
    /// Before this it is not valid yet.
    pub from: Timestamp,
    /// After this it is not valid any more.
    pub until: Timestamp,
}

/// Reads all of them. Blocks.
///
/// # Errors
/// [`NatsError::Setting`] names the setting, the file and what is wrong with it.
pub fn certificates(settings: &Connection) -> Result<Vec<Certificate>, NatsError> {
    let mut found = Vec::new();
    for (setting, file) in [(CA, &settings.nats_tls_ca), (CERTIFICATE, &settings.nats_tls_cert)] {
        let Some(file) = file else { continue };
        let chain = chain(setting, file)?;
        for der in &chain {
            found.push(read(setting, file, der)?);
        }
    }
    if let (Some(certificate), Some(key)) = (&settings.nats_tls_cert, &settings.nats_tls_key) {
        pair(chain(CERTIFICATE, certificate)?, key)?;
    }
    Ok(found)
}

/// The certificates of a file, of which there must be one at least.
fn chain(setting: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, NatsError> {
    let text = text(setting, file)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(unusable(setting, file, "holds no certificate: it takes one in PEM, -----BEGIN CERTIFICATE-----")),
        Err(error) => Err(unusable(setting, file, &format!("is no PEM file that can be read: {error}"))),
    }
}

fn read(setting: &'static str, file: &Path, der: &CertificateDer<'_>) -> Result<Certificate, NatsError> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der)
        .map_err(|error| unusable(setting, file, &format!("holds a certificate that cannot be read: {error}")))?;
    let millis = |seconds: i64| Timestamp(u64::try_from(seconds).unwrap_or_default().saturating_mul(1_000));
    let validity = certificate.validity();
    Ok(Certificate {
        setting,
        subject: printable(&certificate.subject().to_string()),
        from: millis(validity.not_before.timestamp()),
        until: millis(validity.not_after.timestamp()),
    })
}

fn pair(chain: Vec<CertificateDer<'static>>, file: &Path) -> Result<(), NatsError> {
    let key = PrivateKeyDer::from_pem_slice(&text(KEY, file)?)
        // The error may repeat what was read, and that is a secret.
        .map_err(|_| unusable(KEY, file, "holds no key: it takes one in PEM, -----BEGIN PRIVATE KEY-----"))?;
    match CertifiedKey::from_der(chain, key, &default_provider()) {
        Ok(_) => Ok(()),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(unusable(
            KEY,
            file,
            "is not the key of the certificate that NATS_TLS_CERT names: both must be of one pair",
        )),
        Err(error) => {
            Err(unusable(KEY, file, &format!("cannot be used with the certificate that NATS_TLS_CERT names: {error}")))
        }
    }
}

fn text(setting: &'static str, file: &Path) -> Result<Vec<u8>, NatsError> {
    std::fs::read(file).map_err(|error| unusable(setting, file, &format!("cannot be read: {error}")))
}

fn unusable(setting: &'static str, file: &Path, why: &str) -> NatsError {
    NatsError::Setting { setting, why: format!("{} {why}", file.display()) }
}
