//! Values larger than one message: compressed, then cut into chunks. Knows the form, not
//! where the parts are kept.
//!
//! A value that fits is stored as it is. A larger one begins with 4 bytes that say how it
//! is kept: `agz1`, then an LZ4 block with its size before it; or `agc1`, then the number
//! of chunks and the name they share, the chunks together being such an LZ4 block.

use bytes::Bytes;

/// Largest value in bytes, packed or not.
pub(super) const VALUE_BYTES_MAX: usize = 256 << 20;

const COMPRESSED: &[u8; 4] = b"agz1";
const CHUNKED: &[u8; 4] = b"agc1";

/// How a value is stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packed {
    /// In one message.
    Whole(Bytes),
    /// In several.
    Chunks(Vec<Bytes>),
}

/// What the message under a value's key holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// The value.
    Value(Vec<u8>),
    /// Where the chunks are: their number and the name they share.
    Chunks { count: u32, name: String },
}

/// Packs a value into messages of at most `message_bytes_max`.
pub(super) fn pack(value: Vec<u8>, message_bytes_max: usize) -> Packed {
    if value.len() <= message_bytes_max {
        return Packed::Whole(value.into());
    }
    let compressed = lz4_flex::compress_prepend_size(&value);
    if COMPRESSED.len() + compressed.len() <= message_bytes_max {
        return Packed::Whole([COMPRESSED.as_slice(), &compressed].concat().into());
    }
    let compressed = Bytes::from(compressed);
    let starts = (0..compressed.len()).step_by(message_bytes_max.max(1));
    Packed::Chunks(starts.map(|at| compressed.slice(at..compressed.len().min(at + message_bytes_max))).collect())
}

/// The message that says where the chunks are.
pub(super) fn directory(count: usize, name: &str) -> Bytes {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    [CHUNKED.as_slice(), &count.to_be_bytes(), name.as_bytes()].concat().into()
}

/// Reads the message under a value's key; `None` where it is damaged.
pub(super) fn unpack(message: &[u8]) -> Option<Stored> {
    match message.split_at_checked(4) {
        Some((magic, packed)) if magic == COMPRESSED => decompress(packed).map(Stored::Value),
        Some((magic, directory)) if magic == CHUNKED => {
            let (count, name) = directory.split_at_checked(4)?;
            let count = u32::from_be_bytes(count.try_into().ok()?);
            Some(Stored::Chunks { count, name: String::from_utf8(name.to_vec()).ok()? })
        }
        _ => Some(Stored::Value(message.to_vec())),
    }
}

/// Unpacks chunks that were put together, or one compressed message.
pub(super) fn decompress(packed: &[u8]) -> Option<Vec<u8>> {
    let size = u32::from_le_bytes(packed.get(..4)?.try_into().ok()?) as usize;
    // The size is foreign: memory is given only up to the bound.
    (size <= VALUE_BYTES_MAX).then(|| lz4_flex::decompress_size_prepended(packed).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bytes that do not compress.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        (0..len).map(next).collect()
    }

    #[test]
    fn small_values_stay_as_they_are() {
        assert_eq!(pack(vec![1, 2, 3], 3), Packed::Whole(Bytes::from_static(&[1, 2, 3])));
    }

    #[test]
    fn large_values_are_compressed_into_one_message() {
        let value = vec![7; 10_000];
        let Packed::Whole(message) = pack(value.clone(), 1_000) else { panic!("one message is enough") };
        assert!(message.len() <= 1_000);
        assert_eq!(unpack(&message), Some(Stored::Value(value)));
    }

    #[test]
    fn larger_ones_are_cut_into_chunks() {
        let value = noise(10_000);
        let Packed::Chunks(chunks) = pack(value.clone(), 1_000) else { panic!("one message is not enough") };
        assert!(chunks.iter().all(|chunk| chunk.len() <= 1_000));
        assert_eq!(decompress(&chunks.concat()), Some(value));
        let stored = unpack(&directory(chunks.len(), "x"));
        assert_eq!(stored, Some(Stored::Chunks { count: chunks.len() as u32, name: "x".into() }));
    }

    proptest! {
        #[test]
        fn foreign_bytes_cost_no_panic_and_little_memory(magic in prop::sample::select(vec![*COMPRESSED, *CHUNKED, *b"ags1"]), rest in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = unpack(&[magic.as_slice(), &rest].concat());
        }
    }
}
