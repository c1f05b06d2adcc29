//! What a plugin says about itself: names, versions, and the JSON Schemas of its commands and
//! events, all taken from the author's types.

use schemars::{Schema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{Domain, IdFormat, encode, payload::TYPE_FIELD, probe};

/// What a plugin is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The domain's name.
    pub domain: String,
    /// The plugin's own version, a semantic version.
    pub version: String,
    /// Number of the state's shape.
    pub state_schema: u32,
    /// The field of a command's payload that holds the aggregate's id.
    pub id_field: String,
    /// What an aggregate's id must look like.
    pub id_format: IdFormat,
    /// All commands the domain takes, in the order of the enum.
    pub commands: Vec<MessageType>,
    /// All events the domain may record, in the order of the enum.
    pub events: Vec<MessageType>,
}

/// One command or event type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageType {
    /// The name in subjects.
    pub name: String,
    /// The doc comment of the variant, else of the struct it holds.
    pub description: String,
    /// JSON Schema (draft 2020-12) of the payload, as JSON text.
    pub schema: String,
}

/// Describes domain `D` in the given version.
#[must_use]
pub fn describe<D: Domain>(version: &str) -> Description {
    let commands =
        SchemaSettings::draft2020_12().for_deserialize().into_generator().into_root_schema_for::<D::Command>();
    let events = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<D::Event>();
    let commands = message_types(commands, &|name, schema| add_envelope::<D>(name, schema));
    named::<D>(version, commands, message_types(events, &|name, schema| add_type::<D>(name, schema)))
}

/// The description of domain `D` with these commands and events.
pub(crate) fn named<D: Domain>(version: &str, commands: Vec<MessageType>, events: Vec<MessageType>) -> Description {
    Description {
        domain: D::NAME.to_owned(),
        version: version.to_owned(),
        state_schema: D::STATE_SCHEMA,
        id_field: D::ID_FIELD.to_owned(),
        id_format: D::ID_FORMAT,
        commands,
        events,
    }
}

/// Adds what every command's payload may hold beside the author's fields.
fn add_envelope<D: Domain>(name: &str, schema: &mut Map<String, Value>) {
    let said = probe::struct_name::<D::Command>(name).unwrap_or(name);
    add_property(schema, TYPE_FIELD, json!({ "const": said }));
    let id = json!({ "type": "string", "pattern": D::ID_FORMAT.pattern(), "description": "The aggregate's id." });
    add_property(schema, D::ID_FIELD, id);
    require(schema, D::ID_FIELD);
}

/// Adds the `type` that an event's payload begins with if the variant holds a struct.
fn add_type<D: Domain>(name: &str, schema: &mut Map<String, Value>) {
    if let Some(said) = probe::struct_name::<D::Event>(name) {
        add_property(schema, TYPE_FIELD, json!({ "const": said }));
        require(schema, TYPE_FIELD);
    }
}

fn add_property(schema: &mut Map<String, Value>, name: &str, property: Value) {
    if let Value::Object(properties) = schema.entry("properties").or_insert_with(|| json!({})) {
        properties.entry(name).or_insert(property);
    }
}

fn require(schema: &mut Map<String, Value>, name: &str) {
    if let Value::Array(required) = schema.entry("required").or_insert_with(|| json!([]))
        && !required.iter().any(|field| field == name)
    {
        required.insert(0, json!(name));
    }
}

/// Takes the schema of an externally tagged enum apart, into one schema per variant.
fn message_types(whole: Schema, finish: &dyn Fn(&str, &mut Map<String, Value>)) -> Vec<MessageType> {
    let mut whole = match Value::from(whole) {
        Value::Object(whole) => whole,
        _ => Map::new(),
    };
    let definitions = match whole.remove("$defs") {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    };
    let alternatives = match whole.remove("oneOf").or_else(|| whole.remove("anyOf")) {
        Some(Value::Array(alternatives)) => alternatives,
        // An enum of undocumented unit variants is one list of strings.
        _ => vec![Value::Object(whole)],
    };
    let mut found = Vec::new();
    for alternative in alternatives {
        for (name, description, content) in variants(alternative) {
            let mut schema = resolve(content, &definitions);
            finish(&name, &mut schema);
            let description = description.unwrap_or_else(|| text(&schema, "description"));
            let root = root_schema(schema, &definitions, &name, &description);
            found.push(MessageType { name, description, schema: json_text(&root) });
        }
    }
    found
}

/// Name, doc comment and content of the variants that one alternative stands for.
fn variants(alternative: Value) -> Vec<(String, Option<String>, Value)> {
    let Value::Object(mut alternative) = alternative else {
        return Vec::new();
    };
    let description = Some(text(&alternative, "description")).filter(|text| !text.is_empty());
    let unit = || json!({ "type": "object" });
    match (alternative.remove("properties"), alternative.remove("enum")) {
        (Some(Value::Object(properties)), _) => {
            properties.into_iter().map(|(name, content)| (name, description.clone(), content)).collect()
        }
        (_, Some(Value::Array(names))) => {
            names.iter().filter_map(Value::as_str).map(|name| (name.to_owned(), description.clone(), unit())).collect()
        }
        _ => alternative
            .get("const")
            .and_then(Value::as_str)
            .map(|name| (name.to_owned(), description, unit()))
            .into_iter()
            .collect(),
    }
}

/// The content itself where it is only a reference to a definition.
fn resolve(content: Value, definitions: &Map<String, Value>) -> Map<String, Value> {
    let Value::Object(mut content) = content else {
        return Map::new();
    };
    if let Some(Value::String(reference)) = content.remove("$ref")
        && let Some(Value::Object(definition)) =
            reference.strip_prefix("#/$defs/").and_then(|name| definitions.get(name))
    {
        for (key, value) in definition {
            content.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    // Unknown fields are ignored, so that newer clients work with older plugins.
    content.remove("additionalProperties");
    content
}

/// A schema that stands on its own, with the definitions it needs and no others.
fn root_schema(
    mut schema: Map<String, Value>,
    definitions: &Map<String, Value>,
    name: &str,
    description: &str,
) -> Map<String, Value> {
    let mut needed = Map::new();
    let mut unseen = vec![Value::Object(schema.clone())];
    while let Some(value) = unseen.pop() {
        match value {
            Value::Object(object) => {
                if let Some(name) =
                    object.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix("#/$defs/"))
                    && !needed.contains_key(name)
                    && let Some(definition) = definitions.get(name)
                {
                    needed.insert(name.to_owned(), definition.clone());
                    unseen.push(definition.clone());
                }
                unseen.extend(object.into_iter().map(|(_, value)| value));
            }
            Value::Array(array) => unseen.extend(array),
            _ => {}
        }
    }
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!(name));
    if !description.is_empty() {
        schema.insert("description".to_owned(), json!(description));
    }
    if !needed.is_empty() {
        schema.insert("$defs".to_owned(), Value::Object(needed));
    }
    schema
}

pub(crate) fn json_text(schema: &Map<String, Value>) -> String {
    let bytes = encode::json(schema).expect("a map of JSON values has a JSON form");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn text(schema: &Map<String, Value>, key: &str) -> String {
    schema.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
