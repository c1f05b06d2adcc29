//! Keys: what signs, and whether a signature is a key's. Seeds are secrets, so no error here
//! repeats what it was given. Knows nothing of components.

use nkeys::{KeyPair, KeyPairType};

/// What signs: the secret half of a key.
#[derive(Debug)]
pub struct SigningKey(KeyPair);

impl SigningKey {
    /// Reads the text of a seed file: the seed, alone or in the frame that `nsc` puts around it.
    ///
    /// # Errors
    /// [`SeedError`], which never has the seed in it.
    pub fn read(text: &str) -> Result<Self, SeedError> {
        let mut lines = text.lines().map(str::trim);
        let Some(seed) = lines.clone().find(|line| line.starts_with('S')) else {
            let public = lines.any(|line| KeyPair::from_public_key(line).is_ok());
            return Err(if public { SeedError::PublicKey } else { SeedError::NoSeed });
        };
        let key = KeyPair::from_seed(seed).map_err(|_| SeedError::Damaged)?;
        // Kinds that are not known are read as another one, and then do not come out the same.
        if key.seed().is_ok_and(|known| known == seed) && signs(&key) { Ok(Self(key)) } else { Err(SeedError::Kind) }
    }

    /// The public half, for `PLUGIN_TRUSTED_KEYS`.
    pub fn public_key(&self) -> String {
        self.0.public_key()
    }

    pub(super) fn sign(&self, message: &[u8]) -> Option<[u8; 64]> {
        self.0.sign(message).ok()?.try_into().ok()
    }
}

/// Why a text gives no key that signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// No line looks like one.
    #[error("no line of it begins with S as an nkey seed does: make one with `nk -gen user`")]
    NoSeed,
    /// The other half.
    #[error("it holds a public key, and signing takes the seed, which begins with S")]
    PublicKey,
    /// Too short, too long, or with a wrong letter.
    #[error("its seed is damaged: it takes the 58 characters that `nk` or `nsc` made")]
    Damaged,
    /// A key that does something else.
    #[error("its seed is not of a kind that signs: it takes one that begins with SU, SA or SO")]
    Kind,
}

/// Whether `signer` made the signature; nothing where that is no public nkey that signs.
pub(super) fn holds(signer: &str, message: &[u8], signature: &[u8; 64]) -> Option<bool> {
    public_key(signer).map(|key| key.verify(message, signature).is_ok())
}

/// Whether the text is a public nkey that signatures can be checked with.
pub(super) fn is_public(text: &str) -> bool {
    public_key(text).is_some()
}

fn public_key(text: &str) -> Option<KeyPair> {
    KeyPair::from_public_key(text).ok().filter(signs)
}

/// Curve keys encrypt.
fn signs(key: &KeyPair) -> bool {
    key.key_pair_type() != KeyPairType::Curve
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(kind: KeyPairType) -> String {
        KeyPair::new(kind).seed().expect("a seed")
    }

    #[test]
    fn seeds_are_read_alone_and_framed() {
        for kind in [KeyPairType::User, KeyPairType::Account, KeyPairType::Operator] {
            let key = KeyPair::new(kind);
            let seed = key.seed().expect("a seed");
            let framed = format!(
                "-----BEGIN NATS USER JWT-----\neyJ0eXAi\n------END NATS USER JWT------\n\n\
                 NKEY Seed printed below can be used to sign and prove identity.\n\n\
                 -----BEGIN USER NKEY SEED-----\r\n{seed}\r\n------END USER NKEY SEED------\n"
            );
            let both = format!("{}\n  {seed}\n", key.public_key());
            for text in [&seed, &format!("{seed}\n"), &framed, &both] {
                assert_eq!(SigningKey::read(text).map(|read| read.public_key()), Ok(key.public_key()), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_seed_is_told_apart() {
        let damaged = {
            let mut seed = seed(KeyPairType::User);
            let last = if seed.ends_with('A') { 'B' } else { 'A' };
            seed.pop();
            seed.push(last);
            seed
        };
        let cases = [
            (String::new(), SeedError::NoSeed),
            ("hello\n".into(), SeedError::NoSeed),
            (KeyPair::new_user().public_key(), SeedError::PublicKey),
            (seed(KeyPairType::User)[..57].to_owned(), SeedError::Damaged),
            (damaged, SeedError::Damaged),
            (format!("S{}", "\u{e9}".repeat(40)), SeedError::Damaged),
            (seed(KeyPairType::Curve), SeedError::Kind),
        ];
        for (text, expected) in cases {
            assert_eq!(SigningKey::read(&text).map(|read| read.public_key()), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_key_shows_no_seed() {
        let seed = seed(KeyPairType::User);
        let shown = format!("{:?}", SigningKey::read(&seed).expect("a seed"));
        assert!(!shown.contains(&seed) && !shown.contains("seed"), "{shown}");
    }

    #[test]
    fn curve_keys_sign_nothing() {
        assert!(!is_public(&KeyPair::new(KeyPairType::Curve).public_key()));
        assert!(is_public(&KeyPair::new(KeyPairType::Module).public_key()));
    }
}
