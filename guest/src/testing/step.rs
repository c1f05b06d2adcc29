//! Whether the schemas that a plugin is exported with are those of its types.

use std::{env, fs};

use crate::{Domain, Released, describe::describe, schemas};

/// Set to anything, it has the file written instead of compared.
const WRITE: &str = "WRITE_SCHEMAS";

/// Checks that the file whose text domain `D` is exported with says what its types say. With
/// `WRITE_SCHEMAS=1` in the environment it writes the file instead. `file` is relative to the
/// plugin's package, where `cargo test` runs its tests.
///
/// # Panics
/// With the messages that differ; where the file cannot be written; where `D` is exported without
/// schemas.
pub fn schemas_in_step<D: Domain + Released>(file: &str) {
    let exported = D::SCHEMAS.expect("export!(…, schemas = include_str!(…)) is what reads the file");
    let text = schemas::text(&describe::<D>(D::VERSION));
    if env::var_os(WRITE).is_some() {
        fs::write(file, text).unwrap_or_else(|error| panic!("{file} cannot be written: {error}"));
        return;
    }
    assert!(
        exported == text,
        "{file} is behind the types of `{}`{}: write it anew with {WRITE}=1 and look at what changes",
        D::NAME,
        differing(exported, &text),
    );
}

/// The messages whose lines are in one text only.
fn differing(exported: &str, text: &str) -> String {
    let lines = |text: &str| text.lines().map(|line| line.trim_end_matches(',').to_owned()).collect::<Vec<_>>();
    let (old, new) = (lines(exported), lines(text));
    let names: Vec<String> = new.iter().filter(|line| !old.contains(line)).filter_map(|line| title(line)).collect();
    if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
}

fn title(schema: &str) -> Option<String> {
    let schema: serde_json::Value = serde_json::from_str(schema).ok()?;
    schema.get("title")?.as_str().map(str::to_owned)
}
