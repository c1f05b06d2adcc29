//! The client: commands to one contender, so many in flight, each checked to be answered with
//! `ok`. The same code for all contenders; it must not know what answers.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use async_nats::client::RequestErrorKind;
use async_nats::{Client, HeaderMap, Request};
use futures::future::try_join_all;

use crate::contender::Contender;
use crate::options::Plan;
use crate::sample_agent::{DEPLOY, UPDATE, deployment, update};

/// How many agents the load goes to, evenly.
pub(crate) const AGENTS: usize = 1_000;
/// How many of them one command in flight goes to: few enough to be as warm as can be.
const AGENTS_ALONE: usize = 8;
/// How many are deployed at once.
const DEPLOYED_AT_ONCE: usize = 64;

/// The agents of one contender, and what was done to them.
pub(crate) struct Load {
    client: Client,
    contender: Contender,
    ids: Vec<String>,
    turn: Cell<u64>,
    /// Replies so far: each stands for one event in the stream.
    answered: Cell<u64>,
    reply_bytes: Cell<u64>,
}

/// What one turn came to.
pub(crate) struct Turn {
    /// Latencies in microseconds of what was answered while it was measured.
    pub(crate) latencies_us: Vec<f64>,
    /// Replies of the whole turn, warm-up included.
    pub(crate) answered: u64,
}

impl Load {
    /// Agents that are yet to be deployed.
    pub(crate) fn new(client: Client, contender: Contender) -> Self {
        let ids = (0..AGENTS).map(|_| uuid::Uuid::now_v7().to_string()).collect();
        let (turn, answered, reply_bytes) = Default::default();
        Self { client, contender, ids, turn, answered, reply_bytes }
    }

    /// Whether the contender answers: deploys the first agent.
    pub(crate) async fn is_served(&self) -> Result<bool> {
        match self.ask(DEPLOY, deployment(&self.ids[0])).await {
            Ok(()) => Ok(true),
            Err(error) => match error.downcast_ref::<async_nats::RequestError>() {
                Some(cause) if cause.kind() == RequestErrorKind::NoResponders => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// Deploys the others.
    pub(crate) async fn deploy(&self) -> Result<()> {
        for ids in self.ids[1..].chunks(DEPLOYED_AT_ONCE) {
            try_join_all(ids.iter().map(|id| self.ask(DEPLOY, deployment(id)))).await?;
        }
        Ok(())
    }

    /// Sends commands with so many in flight, no two of them for the same agent.
    pub(crate) async fn measure(&self, in_flight: usize, plan: &Plan) -> Result<Turn> {
        let ids = if in_flight == 1 { &self.ids[..AGENTS_ALONE] } else { &self.ids[..] };
        let (answered_before, begun) = (self.answered.get(), Instant::now());
        let measured_from = begun + plan.warm_up;
        let until = measured_from + plan.measured;
        let latencies = RefCell::new(Vec::new());
        let lanes = (0..in_flight).map(|lane| {
            let own: Vec<&str> = ids.iter().skip(lane).step_by(in_flight).map(String::as_str).collect();
            self.lane(own, measured_from, until, &latencies)
        });
        try_join_all(lanes).await?;
        Ok(Turn { latencies_us: latencies.into_inner(), answered: self.answered.get() - answered_before })
    }

    /// One command after another, to one agent after another.
    async fn lane(
        &self,
        ids: Vec<&str>,
        measured_from: Instant,
        until: Instant,
        latencies: &RefCell<Vec<f64>>,
    ) -> Result<()> {
        for id in ids.into_iter().cycle() {
            let turn = self.turn.replace(self.turn.get() + 1);
            let payload = update(id, turn);
            let asked = Instant::now();
            if asked >= until {
                break;
            }
            self.ask(UPDATE, payload).await?;
            let now = Instant::now();
            if now >= measured_from && now < until {
                latencies.borrow_mut().push(micros(now - asked));
            }
        }
        Ok(())
    }

    async fn ask(&self, verb: &str, payload: String) -> Result<()> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", uuid::Uuid::now_v7().to_string());
        let request = Request::new().headers(headers).payload(payload.into());
        let subject = format!("{}.commands.{verb}", self.contender.domain());
        let reply = self.client.send_request(subject, request).await?;
        let headers = reply.headers.as_ref().context("a reply without headers")?;
        if headers.get("Agent-Status").is_none_or(|status| status.as_str() != "ok") {
            bail!("{} refuses a command: {}", self.contender.name(), String::from_utf8_lossy(&reply.payload));
        }
        self.answered.set(self.answered.get() + 1);
        self.reply_bytes.set(self.reply_bytes.get() + reply.payload.len() as u64);
        Ok(())
    }

    /// Who answers.
    pub(crate) fn contender(&self) -> Contender {
        self.contender
    }

    /// How many commands were answered so far.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.get()
    }

    /// How long a reply is on average.
    pub(crate) fn mean_reply_bytes(&self) -> f64 {
        self.reply_bytes.get() as f64 / self.answered.get().max(1) as f64
    }
}

/// A duration in microseconds.
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
