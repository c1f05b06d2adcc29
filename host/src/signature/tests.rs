//! Signing and judging, with keys made for one test each. What must never happen: a file that
//! differs by anything from what was signed and is accepted.

use nkeys::KeyPair;
use proptest::prelude::*;

use super::*;

/// A component of the smallest form with two sections: one custom, one with any contents.
fn component(contents: &[u8]) -> Vec<u8> {
    let length = u8::try_from(contents.len()).expect("short contents");
    assert!(length < 0x80, "short contents");
    [b"\0asm\x0d\0\x01\0\0\x03\x01xy\x04", &[length][..], contents].concat()
}

fn key() -> SigningKey {
    SigningKey::read(&KeyPair::new_user().seed().expect("a seed")).expect("a seed")
}

/// The same in every run.
fn fixed_key(byte: u8) -> SigningKey {
    let pair = KeyPair::new_from_raw(nkeys::KeyPairType::User, [byte; 32]).expect("a key");
    SigningKey::read(&pair.seed().expect("a seed")).expect("a seed")
}

fn trusting(keys: &[&SigningKey]) -> TrustedKeys {
    let keys: Vec<String> = keys.iter().map(|key| key.public_key()).collect();
    keys.join(",").parse().expect("public keys")
}

#[test]
fn what_is_signed_is_accepted_from_who_is_trusted() {
    let (key, other) = (key(), key());
    let signed = sign(&component(b"code"), &key).expect("a component");

    assert_eq!(trusting(&[&other, &key]).check(&signed), Ok(Some(key.public_key())));
    assert_eq!(trusting(&[&other]).check(&signed), Err(SignatureError::Foreign(key.public_key())));
    assert_eq!(trusting(&[&key]).check(&component(b"code")), Err(SignatureError::Unsigned));
}

#[test]
fn without_keys_everything_is_fine() {
    for bytes in [&b"hello"[..], &component(b"code"), &sign(&component(b"code"), &key()).expect("a component")] {
        assert_eq!(TrustedKeys::default().check(bytes), Ok(None));
    }
}

#[test]
fn signing_leaves_the_component_as_it_is() {
    let (bare, key) = (component(b"code"), key());
    let bytes = sign(&bare, &key).expect("a component");
    let signed = signatures(&bytes).expect("a component");

    assert!(bytes.starts_with(&bare));
    assert_eq!(signed.bare, bare);
    assert_eq!((signed.signatures[0].signer, signed.signatures[0].holds), (&key.public_key()[..], true));
    assert_eq!(signatures(&bare), Ok(Signed { bare: &bare, signatures: Vec::new() }));
}

#[test]
fn keys_rotate_by_signing_twice() {
    let (old, new) = (key(), key());
    let by_old = sign(&component(b"code"), &old).expect("a component");
    let by_both = sign(&by_old, &new).expect("a component");

    assert_eq!(trusting(&[&old]).check(&by_both), Ok(Some(old.public_key())));
    assert_eq!(trusting(&[&new]).check(&by_both), Ok(Some(new.public_key())));
    let signers: Vec<String> =
        signatures(&by_both).expect("signed").signatures.iter().map(|s| s.signer.into()).collect();
    assert_eq!(signers, [old.public_key(), new.public_key()]);
}

#[test]
fn the_same_key_signs_once() {
    let key = key();
    let once = sign(&component(b"code"), &key).expect("a component");
    // Ed25519 is deterministic, so signing again changes nothing.
    assert_eq!(sign(&once, &key), Ok(once));
}

#[test]
fn a_broken_signature_is_replaced_by_its_own_key_only() {
    let (key, other) = (key(), key());
    let mut bytes = sign(&component(b"code"), &key).expect("a component");
    *bytes.last_mut().expect("not empty") ^= 1;

    assert_eq!(sign(&bytes, &other), Err(SignatureError::Broken(key.public_key())));
    assert_eq!(sign(&bytes, &key), sign(&component(b"code"), &key));
}

#[test]
fn a_component_that_is_changed_is_told_from_one_that_is_not_signed() {
    let key = key();
    let mut bytes = sign(&component(b"code"), &key).expect("a component");
    let code = component(b"").len();
    bytes[code] ^= 1;
    assert_eq!(trusting(&[&key]).check(&bytes), Err(SignatureError::Broken(key.public_key())));
}

#[test]
fn a_broken_signature_of_a_stranger_counts() {
    let (key, stranger) = (key(), key());
    let mut bytes = sign(&sign(&component(b"code"), &key).expect("a component"), &stranger).expect("signed");
    *bytes.last_mut().expect("not empty") ^= 1;
    assert_eq!(trusting(&[&key]).check(&bytes), Err(SignatureError::Broken(stranger.public_key())));
}

#[test]
fn a_signature_does_not_move_to_another_component() {
    let key = key();
    let (one, other) = (component(b"one"), component(b"other"));
    let signed = sign(&one, &key).expect("a component");
    let moved = [&other, &signed[one.len()..]].concat();
    assert_eq!(trusting(&[&key]).check(&moved), Err(SignatureError::Broken(key.public_key())));
}

#[test]
fn nothing_may_stand_behind_or_between_signatures() {
    let (key, other) = (key(), key());
    let signed = sign(&component(b"code"), &key).expect("a component");
    let signature = &signed[component(b"code").len()..];
    let section = b"\0\x03\x01xy";
    let trusted = trusting(&[&key]);

    let behind = [&signed, &section[..]].concat();
    assert_eq!(trusted.check(&behind), Err(SignatureError::Appended));
    assert_eq!(sign(&behind, &key), Err(SignatureError::Appended));
    let between = [&behind, signature].concat();
    assert_eq!(trusted.check(&between), Err(SignatureError::Appended));
    let twice = [&signed, signature].concat();
    assert_eq!(trusted.check(&twice), Err(SignatureError::Twice(key.public_key())));
    let theirs = sign(&component(b"other"), &other).expect("a component");
    let foreign = [&signed, &theirs[component(b"other").len()..]].concat();
    assert_eq!(trusted.check(&foreign), Err(SignatureError::Broken(other.public_key())));
    let cut = &signed[..signed.len() - 1];
    assert_eq!(trusted.check(cut), Err(SignatureError::Damaged { at: component(b"code").len() }));
}

#[test]
fn what_is_no_component_is_not_signed() {
    for bytes in [&b""[..], b"hello", b"\0asm", b"\0asm\x01\0\0\0"] {
        assert_eq!(sign(bytes, &key()), Err(SignatureError::NotAComponent), "{bytes:?}");
    }
    assert_eq!(sign(b"\0asm\x0d\0\x01\0\x04\x05abc", &key()), Err(SignatureError::Damaged { at: 8 }));
}

#[test]
fn signatures_are_counted() {
    let mut bytes = component(b"code");
    for byte in 0..SIGNATURES_MAX {
        bytes = sign(&bytes, &fixed_key(u8::try_from(byte).expect("few"))).expect("not too many");
    }
    assert_eq!(sign(&bytes, &fixed_key(99)), Err(SignatureError::TooMany));
    // A key that has signed before takes no room.
    assert!(sign(&bytes, &fixed_key(0)).is_ok());
}

#[test]
fn the_form_of_a_signature_stays_as_it_was_released() {
    let signed = sign(&component(b"code"), &fixed_key(7)).expect("a component");
    let digest = hex::encode(Sha256::digest(&signed));
    assert_eq!(digest, "5b6d5eb12e54f51e08c6fc7de072568e69f1968bd8d51a8df0515dc4f7ba12c3");
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        prop_assert!(trusting(&[&fixed_key(1)]).check(&bytes).is_err());
    }

    #[test]
    fn any_sections_are_judged_without_a_panic(tail in proptest::collection::vec(any::<u8>(), 0..256)) {
        let bytes = [b"\0asm\x0d\0\x01\0", &tail[..]].concat();
        prop_assert!(trusting(&[&fixed_key(1)]).check(&bytes).is_err());
    }

    #[test]
    fn every_flipped_bit_is_refused(contents in proptest::collection::vec(any::<u8>(), 0..64), at: prop::sample::Index, bit in 0..8u8) {
        let mut bytes = sign(&sign(&component(&contents), &fixed_key(1)).expect("a component"), &fixed_key(2)).expect("signed");
        let trusted = trusting(&[&fixed_key(1), &fixed_key(2)]);
        prop_assert!(trusted.check(&bytes).is_ok());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(trusted.check(&bytes).is_err());
    }

    #[test]
    fn whatever_is_appended_is_refused(tail in proptest::collection::vec(any::<u8>(), 1..256)) {
        let signed = sign(&component(b"code"), &fixed_key(1)).expect("a component");
        prop_assert!(trusting(&[&fixed_key(1)]).check(&[&signed, &tail[..]].concat()).is_err());
    }

    #[test]
    fn a_section_that_is_appended_is_refused(id: u8, contents in proptest::collection::vec(any::<u8>(), 0..0x80)) {
        let signed = sign(&component(b"code"), &fixed_key(1)).expect("a component");
        let length = u8::try_from(contents.len()).expect("short contents");
        let longer = [&signed, &[id, length][..], &contents].concat();
        prop_assert!(trusting(&[&fixed_key(1)]).check(&longer).is_err());
    }
}

#[test]
fn every_bit_of_a_signed_component_counts() {
    let mut bytes = sign(&component(b"code"), &fixed_key(1)).expect("a component");
    let trusted = trusting(&[&fixed_key(1)]);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            assert!(trusted.check(&bytes).is_err(), "bit {bit} of byte {at}");
            bytes[at] ^= 1 << bit;
        }
    }
    assert!(trusted.check(&bytes).is_ok());
}
