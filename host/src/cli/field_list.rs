//! The fields of a message by its JSON Schema, in words short enough for a list. Knows JSON
//! Schema as far as types become it; what it does not know it calls `any`.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value;

/// How deep types are followed; a type may refer to itself.
const DEPTH_MAX: usize = 8;

/// A field of a message.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Field {
    /// Its name.
    pub(super) name: String,
    /// Its type in words.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Whether it may be missing.
    pub(super) required: bool,
}

/// The fields of a message: those it needs first, as the schema orders them.
pub(super) fn fields(schema: &Value) -> Vec<Field> {
    let object = resolved(schema, schema);
    let required: HashSet<&str> = list(object, "required").iter().filter_map(Value::as_str).collect();
    let properties = object.get("properties").and_then(Value::as_object);
    let mut fields: Vec<Field> = properties
        .into_iter()
        .flatten()
        .map(|(name, field)| Field {
            name: name.clone(),
            kind: kind(field, schema, 0),
            required: required.contains(name.as_str()),
        })
        .collect();
    fields.sort_by_key(|field| !field.required);
    fields
}

/// A type in words.
fn kind(schema: &Value, root: &Value, depth: usize) -> String {
    if depth == DEPTH_MAX {
        return "any".into();
    }
    let schema = resolved(schema, root);
    let of = |schema: &Value| kind(schema, root, depth + 1);
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    let values = list(schema, "enum");
    if !values.is_empty() {
        return joined(values.iter().map(Value::to_string));
    }
    for choice in ["anyOf", "oneOf"] {
        let choices = list(schema, choice);
        if !choices.is_empty() {
            return joined(choices.iter().map(of));
        }
    }
    if let [one] = list(schema, "allOf") {
        return of(one);
    }
    match schema.get("type") {
        Some(Value::String(name)) => named(name, schema, &of),
        Some(Value::Array(names)) => {
            joined(names.iter().filter_map(Value::as_str).map(|name| named(name, schema, &of)))
        }
        _ => "any".into(),
    }
}

fn named(name: &str, schema: &Value, of: &dyn Fn(&Value) -> String) -> String {
    match name {
        "array" => match schema.get("items") {
            Some(items) => format!("array of {}", of(items)),
            None => "array".into(),
        },
        "object" => match schema.get("additionalProperties") {
            Some(values @ Value::Object(_)) => format!("object of {}", of(values)),
            _ => "object".into(),
        },
        "string" => match schema.get("format").and_then(Value::as_str) {
            Some(format) => format!("string ({format})"),
            None => "string".into(),
        },
        other => other.to_owned(),
    }
}

/// Alternatives, each once. That a field may be null says the same as that it is optional.
fn joined(kinds: impl Iterator<Item = String>) -> String {
    let mut seen: Vec<String> = Vec::new();
    for kind in kinds.filter(|kind| kind != "null") {
        if !seen.contains(&kind) {
            seen.push(kind);
        }
    }
    if seen.is_empty() { "null".into() } else { seen.join(" | ") }
}

/// What a schema refers to, where it refers to something within its root.
fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..DEPTH_MAX {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { break };
        let Some(found) = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) else { break };
        schema = found;
    }
    schema
}

fn list<'a>(schema: &'a Value, name: &str) -> &'a [Value] {
    schema.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_read_like_words() {
        let schema = json!({
            "type": "object",
            "required": ["tags", "agent_id"],
            "properties": {
                "agent_id": {"type": "string", "format": "uuid"},
                "kind": {"enum": ["AI", "System"]},
                "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true},
                "note": {"type": ["string", "null"]},
                "owner": {"anyOf": [{"$ref": "#/$defs/Owner"}, {"type": "null"}]},
                "sizes": {"type": "object", "additionalProperties": {"type": "integer"}},
                "anything": true
            },
            "$defs": {"Owner": {"type": "object", "properties": {}}}
        });
        let shown: Vec<String> =
            fields(&schema).iter().map(|f| format!("{} {} {}", f.name, f.kind, f.required)).collect();
        assert_eq!(
            shown,
            [
                "agent_id string (uuid) true",
                "tags array of string true",
                "anything any false",
                "kind \"AI\" | \"System\" false",
                "note string false",
                "owner object false",
                "sizes object of integer false",
            ]
        );
    }

    #[test]
    fn a_type_that_holds_itself_ends() {
        let schema = json!({
            "properties": {"tree": {"$ref": "#/$defs/T"}, "knot": {"$ref": "#/$defs/K"}},
            "$defs": {"T": {"type": "array", "items": {"$ref": "#/$defs/T"}}, "K": {"$ref": "#/$defs/K"}}
        });
        let kinds: Vec<String> = fields(&schema).into_iter().map(|field| field.kind).collect();
        assert_eq!(kinds[0], "any");
        assert!(kinds[1].starts_with("array of array of "), "{}", kinds[1]);
    }
}
