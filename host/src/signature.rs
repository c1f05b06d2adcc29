//! Signatures of plugins: Ed25519 by NATS nkeys, inside the component file as custom sections at
//! its very end. Knows nothing of files, of NATS or of what a component does.
//!
//! Signed is a line that says what this is and SHA-256 of the component without its signatures,
//! so that several can stand side by side and each can be replaced by itself.

mod keys;
mod sections;
mod trusted;

use sha2::{Digest as _, Sha256};

pub use self::keys::{SeedError, SigningKey};
pub use self::trusted::{TrustedKeys, TrustedKeysError};

/// Most signatures of one component: more than any rotation of keys needs.
const SIGNATURES_MAX: usize = 8;
/// Keeps a signature of a plugin from being one of anything else, and the other way round.
const DOMAIN: &[u8] = b"agent-service plugin signature 1\n";

/// Signs a component. A signature that the same key has made before is replaced, those of other
/// keys stay.
///
/// # Errors
/// [`SignatureError`] where the bytes are no component, are damaged, or bear a signature that
/// does not hold.
pub fn sign(component: &[u8], key: &SigningKey) -> Result<Vec<u8>, SignatureError> {
    let signed = signatures(component)?;
    let own = key.public_key();
    let others: Vec<&Signature<'_>> = signed.signatures.iter().filter(|other| other.signer != own).collect();
    if let Some(broken) = others.iter().find(|other| !other.holds) {
        // Kept, it would have the file refused; dropped, nobody would hear of it.
        return Err(SignatureError::Broken(broken.signer.to_owned()));
    }
    if others.len() >= SIGNATURES_MAX {
        return Err(SignatureError::TooMany);
    }
    let mut bytes = signed.bare.to_vec();
    for other in others {
        sections::append(&mut bytes, other.signer, other.bytes);
    }
    let signature = key.sign(&message(signed.bare)).ok_or(SignatureError::NotSigned)?;
    sections::append(&mut bytes, &own, &signature);
    Ok(bytes)
}

/// Takes a component apart into what is signed and who signed it.
///
/// # Errors
/// [`SignatureError`] where the bytes are no component, are damaged, or have something behind or
/// between their signatures.
pub fn signatures(component: &[u8]) -> Result<Signed<'_>, SignatureError> {
    let (bare, found) = sections::split(component)?;
    if found.is_empty() {
        return Ok(Signed { bare, signatures: Vec::new() });
    }
    let message = message(bare);
    let mut signatures: Vec<Signature<'_>> = Vec::with_capacity(found.len());
    for section in found {
        let signer = std::str::from_utf8(section.signer).map_err(|_| SignatureError::NoSigner)?;
        if signatures.iter().any(|other| other.signer == signer) {
            return Err(SignatureError::Twice(signer.to_owned()));
        }
        let holds = keys::holds(signer, &message, section.signature).ok_or(SignatureError::NoSigner)?;
        signatures.push(Signature { signer, holds, bytes: section.signature });
    }
    Ok(Signed { bare, signatures })
}

/// A component and its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed<'a> {
    /// The component without its signatures.
    pub bare: &'a [u8],
    /// In the order in which they stand in the file, no key twice.
    pub signatures: Vec<Signature<'a>>,
}

impl Signed<'_> {
    /// Checks that there is a signature and that all of them hold, whoever made them.
    ///
    /// # Errors
    /// [`SignatureError::Unsigned`], or [`SignatureError::Broken`] with the signer.
    pub fn check(&self) -> Result<(), SignatureError> {
        match self.signatures.iter().find(|signature| !signature.holds) {
            Some(broken) => Err(SignatureError::Broken(broken.signer.to_owned())),
            None if self.signatures.is_empty() => Err(SignatureError::Unsigned),
            None => Ok(()),
        }
    }
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature<'a> {
    /// The public nkey of whoever is said to have made it.
    pub signer: &'a str,
    /// Whether that key made it, for exactly this component.
    pub holds: bool,
    bytes: &'a [u8; 64],
}

/// Why a component cannot be signed or is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Something else, or only its beginning.
    #[error("it is no WebAssembly component: build the plugin with `cargo build --target wasm32-wasip2`")]
    NotAComponent,
    /// The list of its sections does not come out at the end of the file.
    #[error("its sections are damaged at byte {at}: is the file complete? Take it anew from where it was built")]
    Damaged {
        /// Where, in bytes from the start.
        at: usize,
    },
    /// A signature in a format that is not known.
    #[error(
        "a signature of it is damaged or of a newer format: take the file anew from where it was built, or use a newer agent-service"
    )]
    OtherFormat,
    /// The signer of a signature is no key.
    #[error("a signature of it names no public nkey as its signer: take the file anew from where it was built")]
    NoSigner,
    /// Sections behind or between signatures: nobody has signed those.
    #[error("something was added behind its signature: take the file anew from where it was built, and sign it last")]
    Appended,
    /// Two signatures of one key.
    #[error("it bears two signatures of {0}: take the file anew from where it was built, and sign it once")]
    Twice(String),
    /// More than are read.
    #[error("it would bear more than {SIGNATURES_MAX} signatures: sign the file as the build left it")]
    TooMany,
    /// No signature at all.
    #[error("it is not signed: sign it with `agent-service plugin sign` and a key that PLUGIN_TRUSTED_KEYS names")]
    Unsigned,
    /// Changed after it was signed, or signed by another key than it says.
    #[error(
        "the signature of {0} does not hold, the file was changed after it was signed: take it anew from where it was built, and sign that"
    )]
    Broken(String),
    /// Signed, but not by anyone who is trusted.
    #[error(
        "it is signed by {0}, and PLUGIN_TRUSTED_KEYS names no such key: add the key there if you trust it, or sign the file with one that is there"
    )]
    Foreign(String),
    /// The key does not sign, which a key that was read from a seed always does.
    #[error("the key does not sign: make a new one")]
    NotSigned,
}

fn message(bare: &[u8]) -> Vec<u8> {
    [DOMAIN, Sha256::digest(bare).as_slice()].concat()
}

#[cfg(test)]
mod tests;
