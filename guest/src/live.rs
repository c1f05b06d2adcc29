//! A live aggregate that is driven with names and bytes. This is the one code path: the
//! component's exports, given / when / then tests and native programs all go through it.

use serde::Serialize;

use crate::{Context, Domain, Refusal, decode, encode};

/// One aggregate of domain `D`, in memory.
///
/// ```
/// use agent_guest::{Context, Timestamp, live::Aggregate};
/// # use agent_guest::{Domain, Refusal};
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Counter { count: u64 }
/// # #[derive(Deserialize, JsonSchema)]
/// # #[serde(rename_all = "snake_case")]
/// # enum Command { Increment { by: u64 } }
/// # #[derive(Serialize, Deserialize, JsonSchema)]
/// # #[serde(rename_all = "snake_case")]
/// # enum Event { Incremented { by: u64 } }
/// # impl Domain for Counter {
/// #     const NAME: &'static str = "counter";
/// #     const ID_FIELD: &'static str = "counter_id";
/// #     type Command = Command;
/// #     type Event = Event;
/// #     fn decide(&self, _: &Context, command: Command) -> Result<Vec<Event>, Refusal> {
/// #         let Command::Increment { by } = command;
/// #         Ok(vec![Event::Incremented { by }])
/// #     }
/// #     fn evolve(&mut self, event: Event) -> Result<(), String> {
/// #         let Event::Incremented { by } = event;
/// #         self.count += by;
/// #         Ok(())
/// #     }
/// # }
/// let mut counter = Aggregate::<Counter>::new("c1");
/// let context = Context::new("cmd-1", "c1", 0, Timestamp::from_millis(0));
/// let events = counter.decide(&context, "increment", br#"{"by":2}"#).expect("accepted");
/// assert_eq!((events[0].name, &events[0].payload[..]), ("incremented", &br#"{"by":2}"#[..]));
///
/// counter.evolve(events.iter().map(|e| (e.name, &e.payload[..]))).expect("evolves");
/// assert_eq!(counter.view(), br#"{"count":2}"#);
/// ```
#[derive(Debug)]
pub struct Aggregate<D> {
    state: D,
}

/// An event as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedEvent {
    /// The event's name, as in subjects.
    pub name: &'static str,
    /// A JSON object, UTF-8.
    pub payload: Vec<u8>,
}

/// An event that could not be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvolveError {
    /// Position in the list handed over, from 0.
    pub index: u32,
    /// Why, in words.
    pub message: String,
}

impl<D: Domain> Aggregate<D> {
    /// An aggregate without events.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self { state: D::new(id) }
    }

    /// An aggregate as [`snapshot`](Self::snapshot) left it; `schema` is the state schema
    /// number of the plugin that wrote it.
    ///
    /// # Errors
    /// Why the snapshot cannot be read; the events are to be replayed instead.
    pub fn restore(id: &str, schema: u32, snapshot: &[u8]) -> Result<Self, String> {
        D::restore(id, schema, snapshot).map(|state| Self { state })
    }

    /// Decides on a command, given as its verb and a JSON object. Changes nothing.
    ///
    /// # Errors
    /// The domain's refusal; [`Refusal::Invalid`] for what does not decode.
    ///
    /// # Panics
    /// Where an event of the domain has no form as a JSON object: a mistake in the plugin. In
    /// a component that is a trap, which the host answers with `plugin_failed`.
    pub fn decide(&self, context: &Context, name: &str, payload: &[u8]) -> Result<Vec<EncodedEvent>, Refusal> {
        let command = decode::command(name, payload).map_err(|fault| Refusal::invalid(fault.field, fault.message))?;
        let events = self.state.decide(context, command)?;
        Ok(events.iter().map(encode_event).collect())
    }

    /// Applies events, each given as its name and payload, in order.
    ///
    /// # Errors
    /// The first event that does not decode or that the domain cannot apply. The events
    /// before it are applied, so the aggregate is to be dropped.
    pub fn evolve<'a>(&mut self, events: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<(), EvolveError> {
        for (index, (name, payload)) in events.into_iter().enumerate() {
            let applied = decode::event(name, payload)
                .map_err(|fault| match fault.field.as_str() {
                    "" => format!("event `{name}`: {}", fault.message),
                    field => format!("event `{name}`, field {field}: {}", fault.message),
                })
                .and_then(|event| self.state.evolve(event));
            applied.map_err(|message| EvolveError { index: u32::try_from(index).unwrap_or(u32::MAX), message })?;
        }
        Ok(())
    }

    /// The whole state, as JSON.
    ///
    /// # Panics
    /// Where the state has no JSON form, such as a map whose keys are no strings.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        json("state", &self.state)
    }

    /// The domain's view: a JSON object, UTF-8.
    ///
    /// # Panics
    /// Where the view has no JSON form.
    #[must_use]
    pub fn view(&self) -> Vec<u8> {
        json("view", &self.state.view())
    }

    /// The domain's own state.
    #[must_use]
    pub fn state(&self) -> &D {
        &self.state
    }
}

pub(crate) fn encode_event<E: Serialize>(event: &E) -> EncodedEvent {
    match encode::event(event) {
        Ok((name, payload)) => EncodedEvent { name, payload },
        Err(error) => panic!("{} cannot be stored: {error}", std::any::type_name::<E>()),
    }
}

fn json<T: Serialize>(what: &str, value: &T) -> Vec<u8> {
    match encode::json(value) {
        Ok(bytes) => bytes,
        Err(error) => panic!("the {what} has no JSON form: {error}"),
    }
}
