//! The list of a component's sections, as far as signatures need it: where the signed part ends,
//! and the signature sections behind it. Reads any bytes without a panic, and knows nothing of
//! keys.

use super::{SIGNATURES_MAX, SignatureError};

/// What a component begins with: magic, version of the format, layer. A core module has another
/// layer.
const PREAMBLE: &[u8; 8] = b"\0asm\x0d\0\x01\0";
/// A custom section, which whoever does not know it skips.
const CUSTOM: u8 = 0;
const NAME: &[u8; 23] = b"agent-service-signature";
const FORMAT: u8 = 1;
const SIGNER_BYTES: usize = 56;
const SIGNATURE_BYTES: usize = 64;
const CONTENTS_BYTES: usize = 1 + NAME.len() + 1 + SIGNER_BYTES + SIGNATURE_BYTES;
/// Id, size in LEB128, and length of the name: written in one way, and taken in no other.
const HEAD: [u8; 4] = [CUSTOM, CONTENTS_BYTES as u8 | 0x80, (CONTENTS_BYTES >> 7) as u8, NAME.len() as u8];
const _: () = assert!(CONTENTS_BYTES >= 1 << 7 && CONTENTS_BYTES < 1 << 14 && NAME.len() < 1 << 7);

/// What a signature section holds.
#[derive(Debug)]
pub(super) struct SignatureSection<'a> {
    pub(super) signer: &'a [u8; SIGNER_BYTES],
    pub(super) signature: &'a [u8; SIGNATURE_BYTES],
}

/// The component without its signatures, and those.
pub(super) fn split(component: &[u8]) -> Result<(&[u8], Vec<SignatureSection<'_>>), SignatureError> {
    if !component.starts_with(PREAMBLE) {
        return Err(SignatureError::NotAComponent);
    }
    let mut found = Vec::new();
    let (mut at, mut bare_end) = (PREAMBLE.len(), PREAMBLE.len());
    while at < component.len() {
        let end = section_end(component, at).ok_or(SignatureError::Damaged { at })?;
        let section = &component[at..end];
        if is_signature(section) {
            if found.len() == SIGNATURES_MAX {
                return Err(SignatureError::TooMany);
            }
            found.push(read(section).ok_or(SignatureError::OtherFormat)?);
        } else if found.is_empty() {
            bare_end = end;
        } else {
            return Err(SignatureError::Appended);
        }
        at = end;
    }
    Ok((&component[..bare_end], found))
}

/// Puts a signature behind everything else. A signer is always as long as a public nkey.
pub(super) fn append(component: &mut Vec<u8>, signer: &str, signature: &[u8; SIGNATURE_BYTES]) {
    debug_assert_eq!(signer.len(), SIGNER_BYTES, "no public nkey");
    for part in [&HEAD[..], NAME, &[FORMAT], signer.as_bytes(), signature] {
        component.extend_from_slice(part);
    }
}

/// Where the section that begins at `start` ends, if that is within the bytes.
fn section_end(bytes: &[u8], start: usize) -> Option<usize> {
    let (size, contents) = leb128(bytes, start.checked_add(1)?)?;
    contents.checked_add(size).filter(|end| *end <= bytes.len())
}

/// Whether the section has the name of a signature, however it is written.
fn is_signature(section: &[u8]) -> bool {
    let name = || {
        let (_, contents) = leb128(section, 1)?;
        let (length, name) = leb128(section, contents)?;
        section.get(name..name.checked_add(length)?)
    };
    section.first() == Some(&CUSTOM) && name() == Some(NAME)
}

fn read(section: &[u8]) -> Option<SignatureSection<'_>> {
    let contents = section.strip_prefix(&HEAD)?.strip_prefix(NAME)?.strip_prefix(&[FORMAT])?;
    let (signer, signature) = contents.split_first_chunk()?;
    Some(SignatureSection { signer, signature: signature.try_into().ok()? })
}

/// A number of at most 32 bits and where it ends.
fn leb128(bytes: &[u8], start: usize) -> Option<(usize, usize)> {
    /// Seven bits a byte.
    const LENGTH_MAX: usize = 5;
    let mut number: u64 = 0;
    for (index, byte) in bytes.get(start..)?.iter().take(LENGTH_MAX).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let number = u32::try_from(number).ok()?;
            return Some((usize::try_from(number).ok()?, start + index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_within_their_bounds() {
        assert_eq!(leb128(&[0], 0), Some((0, 1)));
        assert_eq!(leb128(&[9, 0xe5, 0x8e, 0x26], 1), Some((624_485, 4)));
        assert_eq!(leb128(&[0xff, 0xff, 0xff, 0xff, 0x0f], 0), Some((u32::MAX as usize, 5)));
        for wrong in [&[][..], &[0x80], &[0xff, 0xff, 0xff, 0xff, 0x1f], &[0x80, 0x80, 0x80, 0x80, 0x80, 0]] {
            assert_eq!(leb128(wrong, 0), None, "{wrong:?}");
        }
        assert_eq!(leb128(&[0], 7), None);
    }

    #[test]
    fn what_is_appended_is_split_again() {
        let bare = [&PREAMBLE[..], &[0, 3, 1, b'x', 9]].concat();
        let mut bytes = bare.clone();
        append(&mut bytes, &"A".repeat(SIGNER_BYTES), &[7; SIGNATURE_BYTES]);
        append(&mut bytes, &"B".repeat(SIGNER_BYTES), &[8; SIGNATURE_BYTES]);

        let (found_bare, found) = split(&bytes).expect("a component");

        assert_eq!(found_bare, bare);
        let signers: Vec<u8> = found.iter().map(|section| section.signer[0]).collect();
        assert_eq!((&signers[..], found[1].signature), (&b"AB"[..], &[8; SIGNATURE_BYTES]));
    }

    #[test]
    fn a_signature_is_written_in_one_way_only() {
        let mut bytes = PREAMBLE.to_vec();
        append(&mut bytes, &"A".repeat(SIGNER_BYTES), &[7; SIGNATURE_BYTES]);
        assert!(split(&bytes).is_ok());
        let size = PREAMBLE.len() + 1;
        // The same size with a byte more than it needs.
        let longer = [&bytes[..size], &[bytes[size], bytes[size + 1] | 0x80, 0], &bytes[size + 2..]].concat();
        assert_eq!(split(&longer).map(|_| ()), Err(SignatureError::OtherFormat));
    }
}
