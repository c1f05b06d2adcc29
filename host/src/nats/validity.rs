//! Until when the certificates hold that the TLS settings name. Knows nothing of connections.

use std::path::Path;

use async_nats::rustls::pki_types::CertificateDer;

use super::NatsError;
use super::certificates::{self, CA, CERT, unusable};
use crate::clock::Timestamp;
use crate::config::Connection;
use crate::name::printable;

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

/// Reads all of them, once they and the key are seen to be what they should. Blocks.
///
/// # Errors
/// [`NatsError::Setting`] names the setting, the file and what is wrong with it.
pub fn certificates(settings: &Connection) -> Result<Vec<Certificate>, NatsError> {
    certificates::check(settings)?;
    let mut found = Vec::new();
    for (setting, file) in [(CA, &settings.nats_tls_ca), (CERT, &settings.nats_tls_cert)] {
        let Some(file) = file else { continue };
        for der in &certificates::certificates(setting, file)? {
            found.push(read(setting, file, der)?);
        }
    }
    Ok(found)
}

fn read(setting: &'static str, file: &Path, der: &CertificateDer<'_>) -> Result<Certificate, NatsError> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der)
        .map_err(|error| unusable(setting, file, &format!("it holds a certificate that cannot be read: {error}")))?;
    let millis = |seconds: i64| Timestamp(u64::try_from(seconds).unwrap_or_default().saturating_mul(1_000));
    let validity = certificate.validity();
    Ok(Certificate {
        setting,
        subject: printable(&certificate.subject().to_string()),
        from: millis(validity.not_before.timestamp()),
        until: millis(validity.not_after.timestamp()),
    })
}
