//! The keys whose signatures are accepted. Knows nothing of the setting's other forms, nor of
//! how signatures are stored.

use std::str::FromStr;

use super::{SignatureError, keys, signatures};

/// Most keys: a check looks through all of them, and no rotation has as many.
const KEYS_MAX: usize = 64;
/// How long a public nkey is.
const KEY_CHARS: usize = 56;

/// The public nkeys of those who may sign plugins. With none, signatures do not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedKeys(Vec<String>);

impl TrustedKeys {
    /// Whether nothing is checked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a signature of this key is accepted.
    pub fn contains(&self, key: &str) -> bool {
        self.0.iter().any(|trusted| trusted == key)
    }

    /// Judges a component: the trusted key that signed it, or nothing where no key is set.
    ///
    /// # Errors
    /// [`SignatureError`] where it is not to be served: unsigned, changed, signed by others only.
    pub fn check(&self, component: &[u8]) -> Result<Option<String>, SignatureError> {
        if self.is_empty() {
            return Ok(None);
        }
        let signed = signatures(component)?;
        // A broken signature speaks of a changed file even where another one holds.
        signed.check()?;
        let signers: Vec<&str> = signed.signatures.iter().map(|signature| signature.signer).collect();
        match signers.iter().find(|signer| self.contains(signer)) {
            Some(signer) => Ok(Some((*signer).to_owned())),
            None => Err(SignatureError::Foreign(signers.join(", "))),
        }
    }
}

impl FromStr for TrustedKeys {
    type Err = TrustedKeysError;

    /// Reads public nkeys with commas between them. Only the empty text is no keys: anything else
    /// that gives none would switch the check off by mistake.
    fn from_str(text: &str) -> Result<Self, TrustedKeysError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let mut keys: Vec<String> = Vec::new();
        for (index, key) in text.split(',').map(str::trim).enumerate() {
            let position = index + 1;
            if position > KEYS_MAX {
                return Err(TrustedKeysError::TooMany);
            }
            if keys::is_public(key) {
                keys.push(key.to_owned());
                continue;
            }
            let bare = key.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
            // Seeds begin with S, and so does no public key; P is a private key in another form.
            return Err(if bare.starts_with(['S', 's', 'P', 'p']) {
                TrustedKeysError::Seed { position }
            } else {
                TrustedKeysError::NoPublicKey { position, chars: key.chars().count() }
            });
        }
        Ok(Self(keys))
    }
}

/// Why a text is no list of public keys. What was given is not repeated: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrustedKeysError {
    /// A secret, where many can read it.
    #[error(
        "key {position} looks like a seed, which is the secret that signs: never put a seed there, but the public key, which begins with U, A or O. Make a new pair if others may have seen the seed"
    )]
    Seed {
        /// Which of the keys, from 1.
        position: usize,
    },
    /// Something else.
    #[error(
        "key {position} has {chars} characters and is no public nkey that signs: it takes the {KEY_CHARS} that `nk` or `nsc` show, beginning with U, A or O, and a comma between two of them"
    )]
    NoPublicKey {
        /// Which of the keys, from 1.
        position: usize,
        /// How long it is.
        chars: usize,
    },
    /// More than are looked through.
    #[error("it has more than {KEYS_MAX} keys: leave out those that sign no more")]
    TooMany,
}

#[cfg(test)]
mod tests {
    use nkeys::KeyPair;

    use super::*;

    #[test]
    fn keys_of_every_kind_are_read() {
        let keys = [KeyPair::new_user(), KeyPair::new_account(), KeyPair::new_operator(), KeyPair::new_module()]
            .map(|key| key.public_key());
        let trusted: TrustedKeys = keys.join(" , ").parse().expect("public keys");
        assert!(keys.iter().all(|key| trusted.contains(key)));
        assert!(!trusted.is_empty() && !trusted.contains(&KeyPair::new_user().public_key()));
    }

    #[test]
    fn only_nothing_at_all_is_no_keys() {
        assert_eq!("".parse(), Ok(TrustedKeys::default()));
        assert!(TrustedKeys::default().is_empty());
        let key = KeyPair::new_user().public_key();
        for text in [" ", ",", "  ,  ", &format!("{key},"), &format!(",{key}")] {
            let parsed: Result<TrustedKeys, _> = text.parse();
            assert!(matches!(parsed, Err(TrustedKeysError::NoPublicKey { chars: 0, .. })), "{text:?}: {parsed:?}");
        }
    }

    #[test]
    fn a_seed_is_refused_and_not_repeated() {
        let pair = KeyPair::new_user();
        let seed = pair.seed().expect("a seed");
        let quoted = format!("\"{seed}\"");
        for given in [&seed, &seed[..40], &seed.to_lowercase(), &quoted] {
            let text = format!("{},{given}", pair.public_key());
            let error = text.parse::<TrustedKeys>().expect_err("a seed is no public key");
            assert_eq!(error, TrustedKeysError::Seed { position: 2 });
            assert!(error.to_string().contains("never put a seed there"), "{error}");
            assert!(!error.to_string().contains(given.trim_matches('"')), "{error}");
        }
    }

    #[test]
    fn a_misspelt_key_is_named_by_its_place() {
        let key = KeyPair::new_account().public_key();
        let error = format!("{key},{}", &key[..55]).parse::<TrustedKeys>().expect_err("one is cut");
        assert_eq!(error, TrustedKeysError::NoPublicKey { position: 2, chars: 55 });
        let error = [key.as_str()].repeat(KEYS_MAX + 1).join(",").parse::<TrustedKeys>();
        assert_eq!(error, Err(TrustedKeysError::TooMany));
    }
}
