//! Files that are no plugin are refused, each in words that name the cause.

use agent_service::plugin::{LoadError, Plugin};

use crate::loaded::{ENGINE, LIMITS, component};

#[track_caller]
fn refusal(bytes: &[u8]) -> LoadError {
    Plugin::load(&ENGINE, bytes).err().expect("a refusal")
}

/// A component made by hand.
#[track_caller]
fn refusal_of(text: &str) -> LoadError {
    refusal(&wat::parse_str(text).expect("a component's text"))
}

#[test]
fn what_is_no_component() {
    for bytes in [&b""[..], b"\0asm", b"hello, world, this is text", &[0; 64]] {
        assert_eq!(refusal(bytes), LoadError::NotWasm);
    }
    assert_eq!(refusal_of("(module)"), LoadError::NotAComponent);
}

#[test]
fn what_is_cut_short_or_damaged() {
    let whole = component("counter");
    for part in [whole.len() / 2, whole.len() - 1] {
        let error = refusal(&whole[..part]);
        assert!(matches!(error, LoadError::NotCompiled(_)), "{error:?}");
    }
    let mut damaged = whole.clone();
    // Within the code, past all headers.
    damaged[whole.len() / 2..][..64].fill(0xff);
    let error = refusal(&damaged);
    assert!(matches!(error, LoadError::NotCompiled(_)), "{error:?}");
}

#[test]
fn what_is_too_large() {
    let size = LIMITS.file_bytes_max + 1;
    assert_eq!(refusal(&vec![0; size]), LoadError::TooLarge { size, max: LIMITS.file_bytes_max });
}

#[test]
fn what_exports_something_else() {
    assert_eq!(refusal_of("(component)"), LoadError::OtherInterface("nothing".into()));
    let other = r#"(component (instance $i) (export "example:other/thing@1.0.0" (instance $i)))"#;
    assert_eq!(refusal_of(other), LoadError::OtherInterface("example:other/thing@1.0.0".into()));
}

#[test]
fn what_exports_a_version_that_is_not_served() {
    let newer = r#"(component (instance $i) (export "agent-service:domain/aggregates@9.0.0" (instance $i)))"#;
    let error = refusal_of(newer);
    assert_eq!(error, LoadError::OtherVersion("agent-service:domain/aggregates@9.0.0".into()));
    let message = error.to_string();
    assert!(message.contains("9.0.0") && message.contains("1.0.0:"), "{message}");
}

#[test]
fn what_exports_the_interface_in_name_only() {
    let hollow = r#"(component (instance $i) (export "agent-service:domain/aggregates@1.0.0" (instance $i)))"#;
    let error = refusal_of(hollow);
    assert!(matches!(error, LoadError::Mismatch(_)), "{error:?}");
}

#[test]
fn what_imports_more_than_a_plugin_may() {
    for (import, kind) in [
        ("wasi:filesystem/types@0.2.6", "instance"),
        ("wasi:sockets/network@0.2.6", "instance"),
        ("wasi:clocks/wall-clock@0.2.6", "instance"),
        ("wasi:random/random@0.2.6", "instance"),
        ("wasi:io/streams-of-others@0.2.6", "instance"),
        ("agent-service:domain/secrets@1.0.0", "instance"),
        ("read-anything", "func"),
    ] {
        let text = format!(
            r#"(component
                (import "{import}" ({kind}))
                (instance $i)
                (export "agent-service:domain/aggregates@1.0.0" (instance $i)))"#
        );
        assert_eq!(refusal_of(&text), LoadError::ForbiddenImports(import.into()));
    }
}
