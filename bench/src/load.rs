//! The client: requests to one contender, so many in flight, each checked to be answered as it
//! should. The same code for all contenders; it must not know what answers.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use async_nats::client::RequestErrorKind;
use async_nats::{Client, HeaderMap, Request};
use futures::future::try_join_all;

use crate::agents::Choice;
use crate::contender::Contender;
use crate::duel::Used;
use crate::options::Plan;
use crate::sample_agent::{DEPLOY, UPDATE, deployment, deployment_with_settings, fill, query, update};

/// How many of them one request in flight goes to: few enough to be as warm as can be.
const AGENTS_ALONE: usize = 8;
/// How many are deployed at once.
const DEPLOYED_AT_ONCE: usize = 64;

/// The agents of one contender, and what was done to them.
pub(crate) struct Load {
    client: Client,
    contender: Contender,
    ids: Vec<String>,
    turn: Cell<u64>,
    /// Events that replies have told of.
    stored: Cell<u64>,
    answered: Cell<u64>,
    last_reply_bytes: Cell<usize>,
    refused: Cell<u64>,
}

/// What is asked, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A change, which leads to one event.
    Update,
    /// A deployment of a new agent, which leads to two.
    DeployNew,
    /// A deployment of one that is there, which is rejected.
    DeployAgain,
    /// Its state.
    State,
    /// Its state, right after a change that is not measured.
    StateAfterUpdate,
}

/// What is asked of whom.
pub(crate) struct Aim<'a> {
    pub(crate) in_flight: usize,
    pub(crate) asked: Asked,
    pub(crate) choice: &'a Choice,
    /// Whether a refusal that says `retryable` is counted, and not the end of the run.
    pub(crate) lenient: bool,
}

/// What one turn came to.
pub(crate) struct Turn {
    /// Latencies in microseconds of what was answered while it was measured.
    pub(crate) latencies_us: Vec<f64>,
    /// Replies of the whole turn, warm-up included.
    pub(crate) answered: u64,
    /// Refusals of the whole turn.
    pub(crate) refused: u64,
    /// From the first request to the last reply.
    pub(crate) took: Duration,
    pub(crate) used: Option<Used>,
}

impl<'a> Aim<'a> {
    /// Changes to agents of which none is asked twice at a time.
    pub(crate) fn updates(in_flight: usize) -> Aim<'static> {
        Aim { in_flight, asked: Asked::Update, choice: &Choice::Apart, lenient: false }
    }

    pub(crate) fn of(asked: Asked, in_flight: usize) -> Aim<'static> {
        Aim { asked, ..Aim::updates(in_flight) }
    }

    /// Changes to agents that are drawn.
    pub(crate) fn drawn(in_flight: usize, choice: &'a Choice) -> Self {
        Self { in_flight, asked: Asked::Update, choice, lenient: true }
    }
}

impl Asked {
    fn subject(self, domain: &str) -> String {
        match self {
            Self::Update => format!("{domain}.commands.{UPDATE}"),
            Self::DeployNew | Self::DeployAgain => format!("{domain}.commands.{DEPLOY}"),
            Self::State | Self::StateAfterUpdate => format!("{domain}.queries.state"),
        }
    }

    fn payload(self, id: &str, turn: u64) -> String {
        match self {
            Self::Update => update(id, turn),
            Self::DeployNew => deployment_with_settings(&uuid::Uuid::now_v7().to_string()),
            Self::DeployAgain => deployment(id),
            Self::State | Self::StateAfterUpdate => query(id),
        }
    }

    /// The status of a reply, and how many events it tells of.
    fn outcome(self) -> (&'static str, u64) {
        match self {
            Self::Update => ("ok", 1),
            Self::DeployNew => ("ok", 2),
            Self::DeployAgain => ("rejected", 0),
            Self::State | Self::StateAfterUpdate => ("ok", 0),
        }
    }
}

impl Load {
    /// Agents that are yet to be deployed, or were by another load.
    pub(crate) fn new(client: Client, contender: Contender, ids: Vec<String>) -> Self {
        let (turn, stored, answered, last_reply_bytes, refused) = Default::default();
        Self { client, contender, ids, turn, stored, answered, last_reply_bytes, refused }
    }

    pub(crate) fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Whether the contender answers; deploys the first agent where it is one that stores.
    pub(crate) async fn is_served(&self) -> Result<bool> {
        let id = &self.ids[0];
        let asked = match self.contender {
            Contender::Look => self.ask(Asked::State.subject("look"), query(id), Asked::State.outcome()).await,
            _ => self.deploy_one(id).await,
        };
        match asked {
            Ok(()) => Ok(true),
            Err(error) => match error.downcast_ref::<async_nats::RequestError>() {
                Some(cause) if cause.kind() == RequestErrorKind::NoResponders => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// Deploys all but the first, which [`Load::is_served`] does.
    pub(crate) async fn deploy_others(&self) -> Result<()> {
        side_by_side(&self.ids[1..], |id| self.deploy_one(id)).await
    }

    /// Deploys all.
    pub(crate) async fn deploy(&self) -> Result<()> {
        side_by_side(&self.ids, |id| self.deploy_one(id)).await
    }

    /// Gives all agents settings of so many bytes.
    pub(crate) async fn fill(&self, bytes: usize) -> Result<()> {
        let subject = Asked::Update.subject(self.contender.domain());
        side_by_side(&self.ids, |id| self.ask(subject.clone(), fill(id, 0, bytes), ("ok", 1))).await
    }

    /// Sends requests with so many in flight.
    pub(crate) async fn measure(&self, plan: &Plan, aim: &Aim<'_>) -> Result<Turn> {
        let (answered, refused, begun) = (self.answered.get(), self.refused.get(), Instant::now());
        let measured_from = begun + plan.warm_up;
        let span = (measured_from, measured_from + plan.measured);
        let latencies = RefCell::new(Vec::new());
        try_join_all((0..aim.in_flight).map(|lane| self.lane(lane, aim, span, &latencies))).await?;
        Ok(Turn {
            latencies_us: latencies.into_inner(),
            answered: self.answered.get() - answered,
            refused: self.refused.get() - refused,
            took: begun.elapsed(),
            used: None,
        })
    }

    /// One request after another.
    async fn lane(
        &self,
        lane: usize,
        aim: &Aim<'_>,
        (measured_from, until): (Instant, Instant),
        latencies: &RefCell<Vec<f64>>,
    ) -> Result<()> {
        let among = if aim.in_flight == 1 { AGENTS_ALONE.min(self.ids.len()) } else { self.ids.len() };
        let mut own = (lane..among).step_by(aim.in_flight).cycle();
        loop {
            let next = match aim.choice {
                Choice::Apart => own.next(),
                Choice::Drawn(draw) => Some(draw.next()),
            };
            // There may be fewer agents than lanes.
            let Some(id) = next.map(|nth| &self.ids[nth]) else { return Ok(()) };
            if aim.asked == Asked::StateAfterUpdate {
                self.update(id).await?;
            }
            let turn = self.turn.replace(self.turn.get() + 1);
            let subject = aim.asked.subject(self.contender.domain());
            let payload = aim.asked.payload(id, turn);
            let asked = Instant::now();
            if asked >= until {
                return Ok(());
            }
            match self.ask(subject, payload, aim.asked.outcome()).await {
                Err(error) if aim.lenient && error.is::<Retryable>() => {
                    self.refused.set(self.refused.get() + 1);
                    continue;
                }
                answered => answered?,
            }
            let now = Instant::now();
            if now >= measured_from && now < until {
                latencies.borrow_mut().push(micros(now - asked));
            }
        }
    }

    async fn deploy_one(&self, id: &str) -> Result<()> {
        self.ask(Asked::DeployAgain.subject(self.contender.domain()), deployment(id), ("ok", 1)).await
    }

    /// One change to one agent; tells how long it took.
    pub(crate) async fn update(&self, id: &str) -> Result<Duration> {
        let turn = self.turn.replace(self.turn.get() + 1);
        let begun = Instant::now();
        self.ask(Asked::Update.subject(self.contender.domain()), update(id, turn), ("ok", 1)).await?;
        Ok(begun.elapsed())
    }

    async fn ask(&self, subject: String, payload: String, (status, events): (&str, u64)) -> Result<()> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", uuid::Uuid::now_v7().to_string());
        let request = Request::new().headers(headers).payload(payload.into());
        let reply = self.client.send_request(subject, request).await?;
        let headers = reply.headers.as_ref().context("a reply without headers")?;
        let told = headers.get("Agent-Status").map_or("none", |status| status.as_str());
        if told != status {
            let words = String::from_utf8_lossy(&reply.payload).into_owned();
            ensure!(!words.contains(r#""retryable":true"#), Retryable(words));
            bail!("{} answers `{told}`, not `{status}`: {words}", self.contender.name());
        }
        self.answered.set(self.answered.get() + 1);
        self.stored.set(self.stored.get() + events);
        self.last_reply_bytes.set(reply.payload.len());
        Ok(())
    }

    /// Who answers.
    pub(crate) fn contender(&self) -> Contender {
        self.contender
    }

    /// How many events replies have told of.
    pub(crate) fn stored(&self) -> u64 {
        self.stored.get()
    }

    /// How long the last reply was.
    pub(crate) fn last_reply_bytes(&self) -> usize {
        self.last_reply_bytes.get()
    }
}

/// The same for each, with so many at once.
async fn side_by_side<'a, F: Future<Output = Result<()>>>(
    ids: &'a [String],
    one: impl Fn(&'a str) -> F + Copy,
) -> Result<()> {
    let lanes = (0..DEPLOYED_AT_ONCE.min(ids.len())).map(|lane| async move {
        for id in ids.iter().skip(lane).step_by(DEPLOYED_AT_ONCE) {
            one(id).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(lanes).await.map(drop)
}

/// A refusal that says to come again.
#[derive(Debug)]
struct Retryable(String);

impl std::fmt::Display for Retryable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the command is refused for now: {}", self.0)
    }
}

impl std::error::Error for Retryable {}

/// A duration in microseconds.
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
