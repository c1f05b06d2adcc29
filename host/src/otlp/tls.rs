//! Whom to trust at an endpoint that speaks https: the authority that the environment names, else those of
//! the system. Knows nothing of what is sent there.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::setting::{CERTIFICATE, OtlpError};

/// Trusts the authorities in this file, or else in the system.
pub(super) fn trusting(file: Option<&Path>) -> Result<TlsConnector, OtlpError> {
    let certificates = match file {
        Some(file) => read(file).map_err(|why| OtlpError::Setting {
            setting: CERTIFICATE,
            value: file.display().to_string(),
            why,
        })?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(certificates).0 == 0 {
        let why = format!("no authority is known to trust: name the file of one with {CERTIFICATE}");
        return Err(OtlpError::Exporter(why));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config =
        config.with_safe_default_protocol_versions().map_err(|error| OtlpError::Exporter(error.to_string()))?;
    Ok(TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}

fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = std::fs::read(file)
        .map_err(|error| format!("it cannot be read ({error}): name a file that this user may read"))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok).collect();
    if certificates.is_empty() {
        return Err("it holds no certificate in PEM form: it begins with `-----BEGIN CERTIFICATE-----`".into());
    }
    Ok(certificates)
}
