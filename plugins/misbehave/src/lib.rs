//! A domain that does on request what a plugin must not do, so that tests can show that the
//! host bears it. Knows nothing of what the host does about it.
#![forbid(unsafe_code)]

mod mischief;

use agent_guest::prelude::*;

/// One aggregate: how often it ran, and what past events did to it.
#[derive(Default, Serialize, Deserialize)]
pub struct Misbehave {
    /// Events so far.
    pub runs: u64,
    /// Whether the view is to be no JSON object.
    pub blind: bool,
    /// Ballast that makes the state large.
    pub ballast: String,
    /// Whether its snapshots cannot be read.
    #[serde(default, deserialize_with = "mischief::unreadable")]
    pub amnesiac: bool,
}

/// The one verb, `run`.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Does what `mode` says; `n` says how much of it.
    Run {
        /// What to do.
        mode: Mode,
        /// How much: bytes, events, lines, depth or turns, as the mode has it.
        #[serde(default)]
        n: u64,
    },
}

/// What a run does.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing: no events.
    Nothing,
    /// One well-behaved event.
    Behave,
    /// Panics while deciding.
    Trap,
    /// Never comes back from deciding.
    Spin,
    /// Turns around `n` thousand times, then behaves.
    Slow,
    /// Allocates until it is stopped.
    Memory,
    /// Calls itself until it is stopped.
    Recursion,
    /// Ends its process while deciding.
    Exit,
    /// One event with `n` bytes of padding.
    HugeEvent,
    /// `n` events.
    ManyEvents,
    /// One event that it cannot apply.
    UnevolvableEvent,
    /// One event whose application panics.
    TrapInEvolve,
    /// One event whose application never ends.
    SpinInEvolve,
    /// One event after which the state holds `n` bytes more.
    Ballast,
    /// One event after which the view is no JSON object.
    BadView,
    /// One event after which snapshots are made that cannot be read.
    UnreadableSnapshot,
    /// One event whose name no event may have.
    ForbiddenEvent,
    /// A rejection whose reason is no token.
    BadReason,
    /// A rejection whose message has `n` bytes.
    LongMessage,
    /// Logs `n` lines, then behaves.
    LogFlood,
    /// Logs one line of `n` bytes, then behaves.
    LogLong,
    /// Prints `n` lines, then behaves.
    Print,
    /// One event that tells what it can see of the machine, and in what order a hash map
    /// of `n` entries is walked.
    LookAround,
}

/// What happened.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It ran.
    Ran {
        /// What it was asked to do.
        mode: Mode,
        /// As much of nothing as was asked for.
        padding: String,
    },
    /// It ran, and cannot apply that.
    Soured {},
    /// It ran, and panics when it applies that.
    Fused {},
    /// It ran, and never comes back from applying that.
    Stuck {},
    /// The state grew by so many bytes.
    Hoarded {
        /// Bytes.
        n: u64,
    },
    /// The view is no JSON object from now on.
    Blinded {},
    /// Snapshots cannot be read from now on.
    Forgot {},
    /// Nobody is told that there is such an event.
    #[serde(rename = "No Name.")]
    #[schemars(skip)]
    Nameless {},
    /// What it saw of the machine.
    Looked {
        /// Environment variables and arguments.
        seen: Vec<String>,
        /// The order of a hash map's entries.
        hash_order: Vec<u64>,
    },
}

impl Domain for Misbehave {
    const NAME: &'static str = "misbehave";
    const ID_FIELD: &'static str = "id";
    type Command = Command;
    type Event = Event;

    fn decide(&self, _context: &Context, command: Command) -> Result<Vec<Event>, Refusal> {
        let Command::Run { mode, n } = command;
        let ran = |padding: u64| Event::Ran { mode, padding: mischief::padding(padding) };
        match mode {
            Mode::Nothing => return Ok(Vec::new()),
            Mode::Trap => panic!("asked to panic"),
            Mode::Spin => mischief::spin(),
            Mode::Slow => mischief::turn(n.saturating_mul(1_000)),
            Mode::Memory => mischief::allocate(),
            Mode::Recursion => drop(mischief::recurse(u64::MAX)),
            Mode::Exit => std::process::exit(0),
            Mode::LogFlood => mischief::log_lines(n),
            Mode::LogLong => agent_guest::log::info(&mischief::padding(n)),
            Mode::Print => mischief::print_lines(n),
            Mode::BadReason => return Err(Refusal::rejected("No Token", "the reason is no token")),
            Mode::LongMessage => return Err(Refusal::rejected("long_message", mischief::padding(n))),
            Mode::HugeEvent => return Ok(vec![ran(n)]),
            Mode::ManyEvents => return Ok((0..n).map(|_| ran(0)).collect()),
            Mode::UnevolvableEvent => return Ok(vec![Event::Soured {}]),
            Mode::TrapInEvolve => return Ok(vec![Event::Fused {}]),
            Mode::SpinInEvolve => return Ok(vec![Event::Stuck {}]),
            Mode::Ballast => return Ok(vec![Event::Hoarded { n }]),
            Mode::BadView => return Ok(vec![Event::Blinded {}]),
            Mode::UnreadableSnapshot => return Ok(vec![Event::Forgot {}]),
            Mode::ForbiddenEvent => return Ok(vec![Event::Nameless {}]),
            Mode::LookAround => {
                return Ok(vec![Event::Looked { seen: mischief::machine(), hash_order: mischief::hash_order(n) }]);
            }
            Mode::Behave => {}
        }
        Ok(vec![ran(0)])
    }

    fn evolve(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Soured {} => return Err("asked to refuse the event".into()),
            Event::Fused {} => panic!("asked to panic at the event"),
            Event::Stuck {} => mischief::spin(),
            Event::Hoarded { n } => self.ballast.push_str(&mischief::padding(n)),
            Event::Blinded {} => self.blind = true,
            Event::Forgot {} => self.amnesiac = true,
            Event::Ran { .. } | Event::Looked { .. } | Event::Nameless {} => {}
        }
        self.runs += 1;
        Ok(())
    }

    fn view(&self) -> impl Serialize {
        if self.blind {
            return View::NoObject(self.runs);
        }
        View::Object { runs: self.runs, ballast_bytes: self.ballast.len() }
    }
}

/// What a query shows.
#[derive(Serialize)]
#[serde(untagged)]
enum View {
    NoObject(u64),
    Object { runs: u64, ballast_bytes: usize },
}

agent_guest::export!(Misbehave);
