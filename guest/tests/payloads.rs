//! How payloads are read and written, through a live aggregate: names from types, `type`,
//! unknown fields, and the field that a mistake is blamed on.

use std::collections::BTreeMap;

use agent_guest::{
    describe::describe,
    live::{Aggregate, EncodedEvent},
    prelude::*,
};
use serde_json::{Value, json};

/// A domain that says back what it is told, in every form a variant may have.
#[derive(Default, Serialize, Deserialize)]
struct Echo {
    heard: u32,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Command {
    /// Nothing to say.
    Nod,
    Say {
        words: Vec<Word>,
        #[serde(default)]
        aloud: bool,
    },
    Write(Letter),
    /// Has a use of its own for `type`.
    File {
        r#type: String,
    },
    Sort(Flat),
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Word {
    text: String,
    volume: Option<u8>,
}

/// A letter.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename = "WriteLetter")]
struct Letter {
    to: Address,
    pages: BTreeMap<String, u16>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Address {
    town: String,
    kind: Kind,
}

#[derive(Serialize, Deserialize, JsonSchema)]
enum Kind {
    Home,
    Work,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Flat {
    name: String,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Event {
    Nodded,
    Said { words: Vec<Word>, aloud: bool },
    Written(Letter),
    Filed { r#type: String },
    Sorted(Flat),
}

impl Domain for Echo {
    const NAME: &'static str = "echo";
    const ID_FIELD: &'static str = "echo_id";
    type Command = Command;
    type Event = Event;

    fn decide(&self, _: &Context, command: Command) -> Result<Vec<Event>, Refusal> {
        Ok(vec![match command {
            Command::Nod => Event::Nodded,
            Command::Say { words, aloud } => Event::Said { words, aloud },
            Command::Write(letter) => Event::Written(letter),
            Command::File { r#type } => Event::Filed { r#type },
            Command::Sort(flat) => Event::Sorted(flat),
        }])
    }

    fn evolve(&mut self, _: Event) -> Result<(), String> {
        self.heard += 1;
        Ok(())
    }
}

fn decide(verb: &str, payload: &[u8]) -> Result<Vec<EncodedEvent>, Refusal> {
    let context = Context::new("c", "e1", 0, Timestamp::from_millis(0));
    Aggregate::<Echo>::new("e1").decide(&context, verb, payload)
}

/// The one event that a command leads to, as name and text; it must also evolve.
fn echo(verb: &str, payload: Value) -> (String, String) {
    let events = decide(verb, payload.to_string().as_bytes()).expect("accepted");
    let [event] = &events[..] else { panic!("one event, not {events:?}") };
    Aggregate::<Echo>::new("e1").evolve([(event.name, &event.payload[..])]).expect("evolves");
    (event.name.to_owned(), String::from_utf8(event.payload.clone()).expect("UTF-8"))
}

fn fault(verb: &str, payload: &str) -> (String, String) {
    match decide(verb, payload.as_bytes()) {
        Err(Refusal::Invalid { field, message }) => (field, message),
        other => panic!("invalid, not {other:?}"),
    }
}

#[test]
fn every_form_of_a_variant_is_read_and_written() {
    assert_eq!(echo("nod", json!({})), ("nodded".into(), "{}".into()));
    let said = r#"{"words":[{"text":"hi","volume":null}],"aloud":false}"#;
    assert_eq!(echo("say", json!({ "words": [{ "text": "hi" }] })), ("said".into(), said.into()));
    let letter = json!({ "to": { "town": "Ulm", "kind": "Home" }, "pages": { "one": 1 } });
    let written = r#"{"type":"WriteLetter","to":{"town":"Ulm","kind":"Home"},"pages":{"one":1}}"#;
    assert_eq!(echo("write", letter), ("written".into(), written.into()));
    let sorted = r#"{"name":"a","b":[1,2.5]}"#;
    assert_eq!(echo("sort", json!({ "name": "a", "b": [1, 2.5] })), ("sorted".into(), sorted.into()));
    assert_eq!(echo("file", json!({ "type": "x" })), ("filed".into(), r#"{"type":"x"}"#.into()));
}

#[test]
fn a_type_may_be_said_and_must_agree() {
    let letter =
        |said: Value| json!({ "to": { "town": "Ulm", "kind": "Home" }, "pages": {}, "type": said }).to_string();
    assert!(decide("write", letter(json!("WriteLetter")).as_bytes()).is_ok());
    assert!(decide("nod", br#"{"type":"nod"}"#).is_ok());
    assert!(decide("say", br#"{"words":[],"type":"say"}"#).is_ok());
    for (verb, payload) in [
        ("write", letter(json!("Letter"))),
        ("write", letter(json!(7))),
        ("nod", r#"{"type":"say"}"#.to_owned()),
        ("say", r#"{"words":[],"type":"Say"}"#.to_owned()),
    ] {
        let (field, message) = fault(verb, &payload);
        assert_eq!(field, "type", "{payload}");
        assert!(message.contains("does not agree with the command"), "{message}");
    }
    // Only the payload's own `type` counts, not one further down.
    assert!(decide("nod", br#"{"other":{"type":"x"}}"#).is_ok());
}

#[test]
fn a_mistake_is_blamed_on_its_field() {
    for (verb, payload, field, message) in [
        ("say", r#"{}"#, "words", "missing field `words`"),
        ("say", r#"{"words":[{"text":"a"},{}]}"#, "words[1].text", "missing field `text`"),
        ("say", r#"{"words":[],"words":[]}"#, "words", "duplicate field `words`"),
        ("say", r#"{"words":1}"#, "words", "invalid type: integer `1`, expected a sequence"),
        ("say", r#"{"words":[7]}"#, "words[0]", "invalid type: integer `7`, expected struct Word"),
        ("say", r#"{"words":[],"aloud":"no"}"#, "aloud", "invalid type: string \"no\", expected a boolean"),
        (
            "say",
            "{\"words\":[\n {\"text\":\"a\",\n \"volume\":300}]}",
            "words[0].volume",
            "invalid value: integer `300`, expected u8",
        ),
        ("write", r#"{"to":{"town":"Ulm"},"pages":{}}"#, "to.kind", "missing field `kind`"),
        (
            "write",
            r#"{"to":{"town":"Ulm","kind":"Inn"},"pages":{}}"#,
            "to.kind",
            "unknown variant `Inn`, expected `Home` or `Work`",
        ),
        ("write", r#"{"to":{"kind":7,"town":"Ulm"},"pages":{}}"#, "to.kind", "has a type that does not fit"),
        ("write", r#"{"to":{"kind":["Home"],"town":"Ulm"},"pages":{}}"#, "to.kind", "has a type that does not fit"),
        ("write", r#"{"to":null,"pages":{}}"#, "to", "invalid type: null, expected struct Address"),
        ("write", r#"{"pages":{"one":-1},"to":{}}"#, "pages.one", "invalid value: integer `-1`, expected u16"),
    ] {
        assert_eq!(fault(verb, payload), (field.to_owned(), message.to_owned()), "{payload}");
    }
}

#[test]
fn what_is_no_json_object_is_blamed_on_the_whole() {
    for (payload, message) in [
        ("", "not valid JSON: EOF while parsing a value"),
        ("{", "not valid JSON: EOF while parsing an object"),
        (r#"{"words":[],}"#, "not valid JSON: trailing comma"),
        (r#"{"words":[]} {"#, "not valid JSON: trailing characters"),
        ("[]", "invalid type: sequence, expected a JSON object"),
        ("null", "invalid type: null, expected a JSON object"),
        ("7", "invalid type: integer `7`, expected a JSON object"),
    ] {
        assert_eq!(fault("say", payload), (String::new(), message.to_owned()), "{payload}");
        assert_eq!(fault("nod", payload).0, "", "{payload}");
    }
    let not_utf8 = decide("file", b"{\"type\":\"\xff\"}");
    assert!(matches!(not_utf8, Err(Refusal::Invalid { field, .. }) if field.is_empty()));
}

#[test]
fn an_unknown_verb_is_named() {
    let (field, message) = fault("shout", "{}");
    assert_eq!(field, "");
    assert_eq!(message, "unknown variant `shout`, expected one of `nod`, `say`, `write`, `file`, `sort`");
}

#[test]
fn messages_are_one_short_line() {
    let long = "x\u{7}\n".repeat(10_000);
    let payload = json!({ "to": { "town": "Ulm", "kind": long }, "pages": { long.clone(): -1 } });
    let (_, message) = fault("write", &payload.to_string());
    assert!(message.len() < 600 && !message.contains(char::is_control), "{message}");
    let payload = format!(r#"{{"pages":{{"{}":"x"}}}}"#, "ä".repeat(10_000));
    let (field, _) = fault("write", &payload);
    assert!(field.starts_with("pages.ä") && field.len() < 600, "{field}");
}

#[test]
fn descriptions_come_from_the_types() {
    let described = describe::<Echo>("0.1.0");
    let names: Vec<_> = described.commands.iter().map(|of| of.name.as_str()).collect();
    assert_eq!(names, ["nod", "say", "write", "file", "sort"]);
    let schema = |types: &[agent_guest::describe::MessageType], index: usize| -> Value {
        serde_json::from_str(&types[index].schema).expect("JSON")
    };
    let nod = schema(&described.commands, 0);
    assert_eq!((&nod["description"], &nod["required"]), (&json!("Nothing to say."), &json!(["echo_id"])));
    let said = |index| schema(&described.commands, index)["properties"]["type"].clone();
    assert_eq!(said(1), json!({ "const": "say" }));
    assert_eq!(said(2), json!({ "const": "WriteLetter" }));
    assert_eq!(said(3), json!({ "type": "string" }));
    assert_eq!(described.commands[2].description, "A letter.");
    let written = schema(&described.events, 2);
    assert_eq!(written["required"], json!(["type", "to", "pages"]));
    let definitions: Vec<_> = written["$defs"].as_object().expect("definitions").keys().collect();
    assert_eq!(definitions, ["Address", "Kind"]);
    assert_eq!(schema(&described.events, 1)["properties"].get("type"), None);
}
