//! The agent that everything is measured on: its deployment and the command that is repeated.
//! It must not know how commands are sent.

/// The verb of a deployment.
pub(crate) const DEPLOY: &str = "deploy";
/// The verb of the command that is repeated.
pub(crate) const UPDATE: &str = "update_configuration";

/// What the id in a payload of ours stands behind, so that it can be cut out without a parser.
const HEAD: &str = r#"{"agent_id":""#;
const ID_BYTES: usize = 36;

/// Payload of a deployment.
pub(crate) fn deployment(id: &str) -> String {
    format!(
        r#"{HEAD}{id}","agent_type":"AI","metadata":{{"name":"a","description":"","version":"1.0.0","owner_id":"{id}"}}}}"#
    )
}

/// Payload of the command that sets the `turn`-th value: each turn differs from the one before,
/// and all have one length.
pub(crate) fn update(id: &str, turn: u64) -> String {
    let value = 1_000_000 + turn % 1_000_000;
    format!(r#"{HEAD}{id}","changes":{{"temperature":{value}}},"changed_by":"bench"}}"#)
}

/// Payload of a command that adds a setting of about 100 bytes.
pub(crate) fn grow(id: &str, nth: u64) -> String {
    let filling = "x".repeat(80);
    format!(r#"{HEAD}{id}","changes":{{"setting_{nth:06}":"{filling}"}}}}"#)
}

/// The id in one of these payloads.
pub(crate) fn id_in(payload: &[u8]) -> Option<&str> {
    let id = payload.get(HEAD.len()..HEAD.len() + ID_BYTES)?;
    std::str::from_utf8(id).ok()
}

#[cfg(test)]
mod tests {
    use super::{deployment, id_in, update};

    const ID: &str = "5f0c6dd5-9c0a-4b58-8f8e-9f3d3f2a7c11";

    #[test]
    fn the_id_is_found_without_a_parser() {
        for payload in [deployment(ID), update(ID, 7)] {
            assert_eq!(id_in(payload.as_bytes()), Some(ID), "{payload}");
        }
        assert_eq!(id_in(b"{}"), None);
    }

    #[test]
    fn neighbouring_turns_differ_and_have_one_length() {
        let (one, two) = (update(ID, 0), update(ID, 999_999));
        assert_ne!(one, two);
        assert_eq!(one.len(), two.len());
    }
}
