//! A snapshot: an aggregate's state together with everything needed to hold it against the
//! stream, and its encoding with a checksum. Knows not where it is kept.
//!
//! The encoding: 4 bytes magic with the format's number, 32 bytes SHA-256 over the rest,
//! then the fields in postcard's encoding.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::remembered::RememberedCommands;

const MAGIC: &[u8; 4] = b"ags1";
const HEAD_BYTES: usize = 4 + 32;

/// An aggregate at one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The version.
    pub version: u64,
    /// The last event's position in the stream.
    pub last_sequence: u64,
    /// The last event's id.
    pub last_event_id: Uuid,
    /// The last event's time, milliseconds since the Unix epoch.
    pub last_time_ms: u64,
    /// SHA-256 of the code that wrote the state.
    pub code: [u8; 32],
    /// State schema number of that code.
    pub state_schema: u32,
    /// The last commands that stored events.
    pub commands: RememberedCommands,
    /// The state in the plugin's own format.
    pub state: Vec<u8>,
}

impl Snapshot {
    /// The last event's time.
    pub fn last_time(&self) -> Timestamp {
        Timestamp(self.last_time_ms)
    }

    /// Whether it need not give way to `other`: it is newer, or the same of the same code. One of
    /// other code gives way, since who wrote `other` may not be able to read it.
    pub fn supersedes(&self, other: &Self) -> bool {
        self.version > other.version || self.version == other.version && self.code == other.code
    }

    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.state.len() + 256);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[0; 32]);
        // Writing plain fields into a growing vector cannot fail.
        let mut bytes = postcard::to_extend(self, bytes).unwrap_or_default();
        if let Some((head, body)) = bytes.split_at_mut_checked(HEAD_BYTES) {
            head[MAGIC.len()..].copy_from_slice(&Sha256::digest(body));
        }
        bytes
    }

    /// Reads what [`Snapshot::encode`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] where it is anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let (head, body) = bytes.split_at_checked(HEAD_BYTES).ok_or(Damaged::Truncated)?;
        let (magic, checksum) = head.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(Damaged::OtherFormat);
        }
        if Sha256::digest(body).as_slice() != checksum {
            return Err(Damaged::Checksum);
        }
        postcard::from_bytes(body).map_err(|_| Damaged::OtherFormat)
    }
}

/// Why stored bytes are no snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    /// Too short.
    #[error("it is cut short")]
    Truncated,
    /// The checksum does not hold.
    #[error("its checksum does not hold")]
    Checksum,
    /// Written by another version of the service.
    #[error("it has another format")]
    OtherFormat,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn snapshot(state: Vec<u8>) -> Snapshot {
        let mut commands = RememberedCommands::default();
        commands.remember("c1", 1, 17, 1);
        Snapshot {
            version: 1,
            last_sequence: 17,
            last_event_id: Uuid::from_u128(7),
            last_time_ms: 1_795_469_648_123,
            code: [3; 32],
            state_schema: 2,
            commands,
            state,
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(state in proptest::collection::vec(any::<u8>(), 0..512)) {
            let snapshot = snapshot(state);
            prop_assert_eq!(Snapshot::decode(&snapshot.encode()), Ok(snapshot));
        }

        #[test]
        fn every_flipped_bit_is_found(state in proptest::collection::vec(any::<u8>(), 0..64), at: prop::sample::Index, bit in 0..8u8) {
            let mut bytes = snapshot(state).encode();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Snapshot::decode(&bytes).is_err());
        }

        #[test]
        fn foreign_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(Snapshot::decode(&bytes).is_err());
        }
    }
}
