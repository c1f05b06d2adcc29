//! The agent that everything is measured on: its deployment and the commands that are repeated.
//! It must not know how commands are sent.

/// The verb of a deployment.
pub const DEPLOY: &str = "deploy";
/// The verb of the command that is repeated.
pub const UPDATE: &str = "update_configuration";

/// What the id in a payload of ours stands behind, so that it can be cut out without a parser.
const HEAD: &str = r#"{"agent_id":""#;
const ID_BYTES: usize = 36;
/// What one filling setting takes in the state, in bytes.
const SETTING_BYTES: usize = 100;

/// Payload of a deployment.
pub fn deployment(id: &str) -> String {
    format!("{}}}", deployed_as(id))
}

/// Payload of a deployment that leads to two events, since settings are given as well.
pub fn deployment_with_settings(id: &str) -> String {
    format!(r#"{},"initial_configuration":{{"settings":{{"temperature":1000000}}}}}}"#, deployed_as(id))
}

fn deployed_as(id: &str) -> String {
    format!(
        r#"{HEAD}{id}","agent_type":"AI","metadata":{{"name":"a","description":"","version":"1.0.0","owner_id":"{id}"}}"#
    )
}

/// Payload of the command that sets the `turn`-th value: each turn differs from the one before,
/// and all have one length.
pub fn update(id: &str, turn: u64) -> String {
    let value = 1_000_000 + turn % 1_000_000;
    format!(r#"{HEAD}{id}","changes":{{"temperature":{value}}},"changed_by":"bench"}}"#)
}

/// Payload of a command that adds settings of so many bytes, counted from the `first`.
pub fn fill(id: &str, first: usize, bytes: usize) -> String {
    let filling = "x".repeat(80);
    let settings = (first..first + bytes / SETTING_BYTES).map(|nth| format!(r#""setting_{nth:06}":"{filling}""#));
    format!(r#"{HEAD}{id}","changes":{{{}}}}}"#, settings.collect::<Vec<_>>().join(","))
}

/// How many settings a [`fill`] of so many bytes adds.
pub fn settings_in(bytes: usize) -> usize {
    bytes / SETTING_BYTES
}

/// Payload of a query for the state.
pub fn query(id: &str) -> String {
    format!(r#"{{"id":"{id}"}}"#)
}

/// The id in one of these payloads.
pub fn id_in(payload: &[u8]) -> Option<&str> {
    let head = if payload.starts_with(HEAD.as_bytes()) { HEAD.len() } else { r#"{"id":""#.len() };
    let id = payload.get(head..head + ID_BYTES)?;
    std::str::from_utf8(id).ok()
}

#[cfg(test)]
mod tests {
    use super::{deployment, deployment_with_settings, fill, id_in, query, update};

    const ID: &str = "5f0c6dd5-9c0a-4b58-8f8e-9f3d3f2a7c11";

    #[test]
    fn the_id_is_found_without_a_parser() {
        for payload in [deployment(ID), deployment_with_settings(ID), update(ID, 7), fill(ID, 0, 300), query(ID)] {
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
