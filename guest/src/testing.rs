//! given / when / then: a domain's rules tested natively. Drives the same code path as the
//! component does and knows nothing of hosts.

use crate::{
    Context, Domain, Refusal, Timestamp,
    describe::describe,
    live::{Aggregate, EncodedEvent, encode_event},
};

mod names;
mod step;
mod then;

pub use names::names_conform;
pub use step::schemas_in_step;
pub use then::{Evolved, Then};

/// The time of every command unless the test says another: 2026-01-01T00:00:00.000Z.
pub const TIME: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// Begins a test of the aggregate `id`.
///
/// ```
/// # use agent_guest::{Context, Domain, Refusal};
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Door { open: bool }
/// # #[derive(Clone, Deserialize, JsonSchema)]
/// # #[serde(rename_all = "snake_case")]
/// # enum Command { Open }
/// # #[derive(Serialize, Deserialize, JsonSchema)]
/// # #[serde(rename_all = "snake_case")]
/// # enum Event { Opened { by: Option<String> } }
/// # impl Domain for Door {
/// #     const NAME: &'static str = "doors";
/// #     const ID_FIELD: &'static str = "door_id";
/// #     type Command = Command;
/// #     type Event = Event;
/// #     fn decide(&self, context: &Context, _: Command) -> Result<Vec<Event>, Refusal> {
/// #         if self.open { return Ok(vec![]) }
/// #         Ok(vec![Event::Opened { by: context.actor().map(str::to_owned) }])
/// #     }
/// #     fn evolve(&mut self, _: Event) -> Result<(), String> { self.open = true; Ok(()) }
/// # }
/// use agent_guest::testing::given;
///
/// given::<Door>("front")
///     .no_events()
///     .by("ada")
///     .when(Command::Open)
///     .then([Event::Opened { by: Some("ada".into()) }])
///     .then_state(|door| assert!(door.open));
/// given::<Door>("front")
///     .events([Event::Opened { by: None }])
///     .when_json("open", r#"{"door_id":"front"}"#)
///     .then_nothing();
/// ```
pub fn given<D: Domain>(id: &str) -> Given<D> {
    names_conform(&describe::<D>("0.0.0"));
    Given { aggregate: Aggregate::new(id), id: id.to_owned() }
}

/// An aggregate whose history the test has not told yet.
#[must_use]
pub struct Given<D> {
    aggregate: Aggregate<D>,
    id: String,
}

impl<D: Domain> Given<D> {
    /// The aggregate does not exist yet.
    pub fn no_events(self) -> When<D> {
        self.events([])
    }

    /// These events happened, in this order.
    ///
    /// # Panics
    /// Where one of them does not evolve.
    pub fn events(mut self, events: impl IntoIterator<Item = D::Event>) -> When<D> {
        let events: Vec<_> = events.into_iter().map(|e| encode_event(&e)).collect();
        evolve(&mut self.aggregate, &events, "given");
        let version = events.len() as u64;
        When { context: Context::new("command-1", self.id, version, TIME), aggregate: self.aggregate }
    }
}

/// An aggregate with a history, waiting for its command.
#[must_use]
pub struct When<D> {
    aggregate: Aggregate<D>,
    context: Context,
}

impl<D: Domain> When<D> {
    /// The command comes at this time instead of [`TIME`].
    pub fn at(mut self, time: Timestamp) -> Self {
        self.context = self.context.with_time(time);
        self
    }

    /// The command comes at this version instead of the number of given events.
    pub fn at_version(mut self, version: u64) -> Self {
        self.context = self.context.with_version(version);
        self
    }

    /// The command comes from this actor.
    pub fn by(mut self, actor: &str) -> Self {
        self.context = self.context.with_actor(actor);
        self
    }

    /// The command comes with this seed instead of 0.
    pub fn with_seed(mut self, seed: (u64, u64)) -> Self {
        self.context = self.context.with_seed(seed);
        self
    }

    /// Decides on a command.
    ///
    /// # Panics
    /// Where deciding on it a second time gives another answer.
    pub fn when(self, command: D::Command) -> Then<D>
    where
        D::Command: Clone,
    {
        let decide = || {
            let events = self.aggregate.state().decide(&self.context, command.clone())?;
            Ok(events.iter().map(encode_event).collect())
        };
        let (first, second) = (decide(), decide());
        Then::new(self.aggregate, self.context, first, &second)
    }

    /// Decides on a command as it arrives: a verb and a JSON object.
    ///
    /// # Panics
    /// Where deciding on it a second time gives another answer.
    pub fn when_json(self, verb: &str, payload: &str) -> Then<D> {
        let decide = || self.aggregate.decide(&self.context, verb, payload.as_bytes());
        let (first, second) = (decide(), decide());
        Then::new(self.aggregate, self.context, first, &second)
    }
}

type Decision = Result<Vec<EncodedEvent>, Refusal>;

fn evolve<D: Domain>(aggregate: &mut Aggregate<D>, events: &[EncodedEvent], whose: &str) {
    let pairs = events.iter().map(|e| (e.name, e.payload.as_slice()));
    if let Err(error) = aggregate.evolve(pairs) {
        panic!("{whose} event {} does not evolve: {}", error.index, error.message);
    }
}

/// Events as text that reads well in a failed test.
fn show(events: &[EncodedEvent]) -> String {
    if events.is_empty() {
        return "no events".to_owned();
    }
    let shown = events.iter().map(|event| {
        let payload = String::from_utf8_lossy(&event.payload);
        format!("  {} {payload}", event.name)
    });
    format!("\n{}", shown.collect::<Vec<_>>().join("\n"))
}
