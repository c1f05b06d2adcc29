//! The test kit holds plugins to what the host holds them to: each of these domains has one
//! mistake, and the kit finds it.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

use agent_guest::{
    Released,
    describe::describe,
    prelude::*,
    schemas,
    testing::{given, schemas_in_step},
};

/// What the panic of a failed expectation says.
fn complaint<T>(test: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| _ = test())).expect_err("the kit must complain");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => (*panic.downcast::<&str>().expect("a text")).to_owned(),
    }
}

/// A domain with the given decide, evolve, view and event names.
macro_rules! domain {
    ($module:ident, $rename:literal, $event:ty, |$state:ident, $context:ident| $decide:expr, $view:expr) => {
        mod $module {
            use super::*;

            #[derive(Default, Serialize, Deserialize)]
            pub(super) struct State {
                pub(super) count: u32,
                #[serde(skip)]
                pub(super) forgotten: u32,
            }

            #[derive(Clone, Deserialize, JsonSchema)]
            #[serde(rename_all = "snake_case")]
            pub(super) enum Command {
                Go,
            }

            #[derive(Serialize, Deserialize, JsonSchema)]
            #[serde(rename_all = $rename)]
            pub(super) enum Event {
                HasGone($event),
            }

            impl Domain for State {
                const NAME: &'static str = "odd";
                const ID_FIELD: &'static str = "odd_id";
                type Command = Command;
                type Event = Event;

                fn decide(&self, $context: &Context, _: Command) -> Result<Vec<Event>, Refusal> {
                    let $state = self;
                    $decide
                }

                fn evolve(&mut self, _: Event) -> Result<(), String> {
                    if self.count == 1 {
                        return Err("only once".to_owned());
                    }
                    self.count += 1;
                    self.forgotten += 1;
                    Ok(())
                }

                fn view(&self) -> impl Serialize {
                    let view: fn(&State) -> serde_json::Value = $view;
                    view(self)
                }
            }
        }
    };
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Trip {
    to: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Odd {
    r#type: String,
}

fn trip(to: &str) -> Trip {
    Trip { to: to.to_owned() }
}

thread_local! {
    static CALLS: Cell<u32> = const { Cell::new(0) };
}

domain!(
    sound,
    "snake_case",
    Trip,
    |state, context| Ok(vec![Event::HasGone(trip(&format!(
        "{}/{}/{}/{}/{:?}/{:?}",
        state.count,
        context.aggregate_id(),
        context.version(),
        context.time(),
        context.actor(),
        context.seed(),
    )))]),
    |state| serde_json::json!({ "count": state.count })
);
domain!(misnamed, "PascalCase", Trip, |_s, _c| Ok(vec![]), |_| serde_json::json!({}));
domain!(
    moody,
    "snake_case",
    Trip,
    |_s, _c| Ok(vec![Event::HasGone(trip(&CALLS.replace(CALLS.get() + 1).to_string()))]),
    |_| { serde_json::json!({}) }
);
domain!(forgetful, "snake_case", Trip, |_s, _c| Ok(vec![Event::HasGone(trip("a"))]), |state| {
    serde_json::json!({ "forgotten": state.forgotten })
});
domain!(hasty, "snake_case", Trip, |_s, _c| Ok(vec![Event::HasGone(trip("a")), Event::HasGone(trip("b"))]), |_| {
    serde_json::json!({})
});
domain!(viewless, "snake_case", Trip, |_s, _c| Ok(vec![]), |_| serde_json::json!([]));
domain!(typed, "snake_case", Odd, |_s, _c| Ok(vec![Event::HasGone(Odd { r#type: "a".to_owned() })]), |_| {
    serde_json::json!({})
});
domain!(shapeless, "snake_case", Vec<u8>, |_s, _c| Ok(vec![Event::HasGone(vec![1])]), |_| serde_json::json!({}));
domain!(refusing, "snake_case", Trip, |_s, _c| Err(Refusal::rejected("closed", "closed on sundays")), |_| {
    serde_json::json!({})
});

#[test]
fn a_test_sets_the_context() {
    let to = "0/t1/7/1970-01-01T00:00:00.001Z/Some(\"ada\")/(1, 2)";
    given::<sound::State>("t1")
        .no_events()
        .at(Timestamp::from_millis(1))
        .at_version(7)
        .by("ada")
        .with_seed((1, 2))
        .when(sound::Command::Go)
        .then([sound::Event::HasGone(trip(to))])
        .then_state(|state| assert_eq!(state.count, 1));
}

#[test]
fn the_version_is_the_number_of_given_events() {
    given::<sound::State>("t1")
        .events([])
        .when(sound::Command::Go)
        .then([sound::Event::HasGone(trip("0/t1/0/2026-01-01T00:00:00.000Z/None/(0, 0)"))]);
}

#[test]
fn other_events_than_expected_are_shown() {
    let text = complaint(|| {
        given::<sound::State>("t1").no_events().when(sound::Command::Go).then([sound::Event::HasGone(trip("x"))]);
    });
    assert!(text.contains(r#"has_gone {"type":"Trip","to":"x"}"#), "{text}");
    assert!(text.contains(r#"has_gone {"type":"Trip","to":"0/t1/"#), "{text}");
}

#[test]
fn refusals_are_told_apart() {
    let refused = || given::<refusing::State>("t1").no_events().when(refusing::Command::Go);
    refused().then_rejected("closed");
    for text in [
        complaint(|| refused().then_rejected("open")),
        complaint(|| refused().then_invalid("closed")),
        complaint(|| refused().then_nothing()),
    ] {
        assert!(text.contains("but got: rejected, closed: closed on sundays"), "{text}");
    }
    let text = complaint(|| refused().then_rejected("Closed Today"));
    assert!(text.contains("is no reason"), "{text}");
}

#[test]
fn names_must_be_names() {
    let text = complaint(|| given::<misnamed::State>("t1"));
    assert!(text.contains("these are not: HasGone"), "{text}");
}

#[test]
fn a_decision_must_be_repeatable() {
    let text = complaint(|| given::<moody::State>("t1").no_events().when(moody::Command::Go));
    assert!(text.contains("decided twice gives two answers"), "{text}");
}

#[test]
fn a_state_must_survive_its_snapshot() {
    let text = complaint(|| given::<forgetful::State>("t1").no_events().when(forgetful::Command::Go));
    assert!(text.contains(r#"before: {"forgotten":1}"#), "{text}");
}

#[test]
fn decided_events_must_evolve() {
    let text = complaint(|| given::<hasty::State>("t1").no_events().when(hasty::Command::Go));
    assert_eq!(text, "decided event 1 does not evolve: only once");
    let given_twice = [hasty::Event::HasGone(trip("a")), hasty::Event::HasGone(trip("b"))];
    let text = complaint(|| given::<hasty::State>("t1").events(given_twice));
    assert_eq!(text, "given event 1 does not evolve: only once");
}

#[test]
fn a_view_must_be_an_object() {
    let text = complaint(|| given::<viewless::State>("t1").no_events().when(viewless::Command::Go));
    assert!(text.contains("a view must be a JSON object"), "{text}");
}

#[test]
fn an_event_must_be_an_object_without_a_type_of_its_own() {
    let text = complaint(|| given::<typed::State>("t1").no_events().when(typed::Command::Go));
    assert!(text.contains("cannot have a field `type`"), "{text}");
    let text = complaint(|| given::<shapeless::State>("t1").no_events().when(shapeless::Command::Go));
    assert!(text.contains("an enum variant that holds an object or nothing"), "{text}");
}

/// Exported with the schemas of a time when it could only go.
impl Released for sound::State {
    const VERSION: &'static str = "1.0.0";
    const SCHEMAS: Option<&'static str> = Some(include_str!("kit/behind.json"));
}

#[test]
fn a_file_of_schemas_must_be_in_step() {
    let text = complaint(|| schemas_in_step::<sound::State>("tests/kit/behind.json"));
    assert!(text.starts_with("tests/kit/behind.json is behind the types of `odd` (has_gone): "), "{text}");
}

#[test]
fn what_is_exported_with_schemas_is_described_by_them() {
    let released = schemas::released::<sound::State>();
    let derived = describe::<sound::State>("1.0.0");
    assert_eq!((&released.domain, &released.version), (&derived.domain, &derived.version));
    assert_eq!(released.commands, derived.commands);
    let [gone] = &released.events[..] else { panic!("{:?}", released.events) };
    assert_eq!((gone.name.as_str(), gone.description.as_str()), ("has_gone", "It went."));
    let file = include_str!("kit/behind.json");
    assert_eq!(schemas::text(&released), file);
    assert_ne!(schemas::text(&derived), file);
}
