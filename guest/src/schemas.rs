//! The schemas of a domain's messages as a file beside the plugin's source: written and compared
//! natively, read in the component. What derives schemas from types is a third of a component, and
//! runs once per load; with the file it stays outside.

use serde_json::Value;

use crate::{
    Domain, Released,
    describe::{Description, MessageType, describe, json_text, named},
};

/// Describes domain `D` as it is released: by the schemas it was exported with, else by its types.
///
/// # Panics
/// Where the text that it was exported with is not what [`text`] writes.
#[must_use]
pub fn released<D: Domain + Released>() -> Description {
    match D::SCHEMAS {
        None => describe::<D>(D::VERSION),
        Some(text) => {
            let [commands, events] = read(text).expect("schemas.json is a list of commands and one of events");
            named::<D>(D::VERSION, commands, events)
        }
    }
}

/// What a domain's types say, as the text of `schemas.json`: JSON, a message on each line.
#[must_use]
pub fn text(described: &Description) -> String {
    let list = |types: &[MessageType]| types.iter().map(|of| of.schema.as_str()).collect::<Vec<_>>().join(",\n");
    format!("{{\"commands\":[\n{}\n],\"events\":[\n{}\n]}}\n", list(&described.commands), list(&described.events))
}

/// The commands and the events of such a text.
fn read(text: &str) -> Option<[Vec<MessageType>; 2]> {
    // As bytes: commands come so as well, and a reader of text would be a second parser in the component.
    let mut whole: Value = serde_json::from_slice(text.as_bytes()).ok()?;
    let mut list = |key: &str| -> Option<Vec<MessageType>> {
        let Value::Array(schemas) = whole.get_mut(key)?.take() else { return None };
        schemas.into_iter().map(message_type).collect()
    };
    Some([list("commands")?, list("events")?])
}

/// Name and doc comment of a message are in its schema.
fn message_type(schema: Value) -> Option<MessageType> {
    let Value::Object(schema) = schema else { return None };
    let text = |key: &str| schema.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(MessageType {
        name: text("title")?,
        description: text("description").unwrap_or_default(),
        schema: json_text(&schema),
    })
}
