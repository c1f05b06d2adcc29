//! Certificates: the own files, looked into before anything is tried with them, and what a failed handshake
//! means. Every message names the file or the setting, and the remedy. Knows nothing of connections.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use async_nats::rustls::crypto::ring::default_provider;
use async_nats::rustls::pki_types::pem::PemObject;
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use async_nats::rustls::sign::CertifiedKey;
use async_nats::rustls::{self, AlertDescription, CertificateError};

use super::NatsError;
use crate::config::Connection;

pub(super) const CA: &str = "NATS_TLS_CA";
pub(super) const CERT: &str = "NATS_TLS_CERT";
const KEY: &str = "NATS_TLS_KEY";

/// Sees that the files hold what they are named for, and that certificate and key belong together. Blocks
/// for as long as it takes to read three small files.
///
/// # Errors
/// [`NatsError::Setting`] names the setting, the file and the remedy.
pub(super) fn check(settings: &Connection) -> Result<(), NatsError> {
    if let Some(file) = &settings.nats_tls_ca {
        certificates(CA, file)?;
    }
    let (Some(certificate), Some(key)) = (&settings.nats_tls_cert, &settings.nats_tls_key) else { return Ok(()) };
    let chain = certificates(CERT, certificate)?;
    let pem = read(KEY, key)?;
    let none =
        || unusable(KEY, key, "it holds no private key in PEM form: it begins with `-----BEGIN PRIVATE KEY-----`");
    let secret = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| none())?;
    match CertifiedKey::from_der(chain, secret, &default_provider()) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let why = format!(
                "it is not the key of the certificate in {}: name the two that were made together with {CERT} and {KEY}",
                certificate.display()
            );
            Err(unusable(KEY, key, &why))
        }
        Err(error) => Err(unusable(
            KEY,
            key,
            &format!("it and the certificate in {} cannot be used: {error}", certificate.display()),
        )),
    }
}

/// What a failed attempt to connect says of certificates; `None` where that was not the reason.
pub(super) fn failure(error: &(dyn Error + 'static), settings: &Connection) -> Option<String> {
    let shown = |file: &Option<PathBuf>| file.as_ref().map(|file| file.display().to_string());
    let own =
        shown(&settings.nats_tls_cert).map_or_else(|| "ours".to_owned(), |file| format!("the one in {file} ({CERT})"));
    Some(match cause(error)? {
        rustls::Error::InvalidCertificate(refused) => of_the_server(refused, shown(&settings.nats_tls_ca)),
        rustls::Error::NoCertificatesPresented => {
            "the server shows no certificate: see the tls block of its configuration".into()
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            format!(
                "the server asks for a certificate and takes none but its authority's: name one with {CERT} and {KEY}"
            )
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => {
            format!(
                "the server refuses our certificate, {own}: it has expired or is not valid yet. Have a new one issued, and look at the clocks"
            )
        }
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRevoked
            | AlertDescription::AccessDenied),
        ) => {
            format!(
                "the server refuses our certificate, {own} ({alert:?}): it must be of the authority that the server's ca_file names, and for client authentication"
            )
        }
        other => format!("TLS fails: {other}"),
    })
}

fn of_the_server(refused: &CertificateError, authority: Option<String>) -> String {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet,
        NotValidYetContext, UnknownIssuer,
    };
    match (refused, authority) {
        // An authority that was made anew may have the name of the one before.
        (UnknownIssuer | BadSignature, Some(file)) => format!(
            "the server's certificate is not of the authority in {file}: name the file of the one that issued it with {CA}"
        ),
        (UnknownIssuer | BadSignature, None) => format!(
            "the server's certificate is of no authority that this system knows: name the file of the one that issued it with {CA}"
        ),
        (Expired | ExpiredContext { .. }, _) => {
            "the server's certificate has expired: have a new one issued, and name it in the server's tls block (cert_file)"
                .into()
        }
        (NotValidYet | NotValidYetContext { .. }, _) => {
            "the server's certificate is not valid yet: look at the clocks of this machine and of whoever issued it".into()
        }
        (NotValidForName | NotValidForNameContext { .. }, _) => format!(
            "the server's certificate is for another name ({refused}): name the server in NATS_URL as its certificate does"
        ),
        (other, _) => format!("the server's certificate is refused: {other}"),
    }
}

/// The library's own error, however deep it lies.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref::<rustls::Error>() {
        return Some(found);
    }
    // Asked for its source, it passes over what it wraps.
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match wrapped {
        Some(wrapped) => cause(wrapped),
        None => error.source().and_then(cause),
    }
}

pub(super) fn certificates(setting: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, NatsError> {
    let pem = read(setting, file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(unusable(
            setting,
            file,
            "it holds no certificate in PEM form: it begins with `-----BEGIN CERTIFICATE-----`",
        )),
    }
}

fn read(setting: &'static str, file: &Path) -> Result<Vec<u8>, NatsError> {
    let read = std::fs::read(file);
    read.map_err(|error| unusable(setting, file, &format!("{error}: name a file that this user may read")))
}

pub(super) fn unusable(setting: &'static str, file: &Path, why: &str) -> NatsError {
    NatsError::Setting { setting, why: format!("{}: {why}", file.display()) }
}
