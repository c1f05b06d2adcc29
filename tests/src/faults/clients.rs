//! The load: several clients that write to the same few aggregates at once, each command under an id
//! that is known. It must not know what goes wrong meanwhile, nor judge an answer.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::{Client, ConnectOptions};
use futures::future::{join_all, try_join_all};
use serde_json::json;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::answer::{Answer, PATIENCE, Sent, Way, ask};
use super::dice::Dice;
use super::durable;
use crate::agent::Agent;
use crate::counter::Counter;
use crate::message::Message;

/// Connections.
const CLIENTS: usize = 4;
/// Writers, each with one command under way.
const WRITERS: usize = 8;
/// Aggregates per domain. Few, so that writers and hosts collide.
const AGGREGATES: usize = 4;
/// Each writer's pace: together they store less on one aggregate, while a command's outcome is open,
/// than it remembers.
const PERIOD: Duration = Duration::from_millis(60);
/// How long a writer waits for an answer, in milliseconds: some give up while the command is still on its
/// way, so that it takes effect after its sender has gone on.
const PATIENCE_MS: RangeInclusive<u64> = 300..=4_000;
/// Settings of an agent that are written again and again.
const KEYS: u64 = 8;
/// One of so many times a writer sends through the durable lane.
const DURABLE_SHARE: u64 = 8;
/// Commands that it then sends at once, to one aggregate.
const DURABLE_BURST: u64 = 4;

/// A command before it is sent: domain, aggregate, message.
type Unsent = (&'static str, String, Message);

/// The writers and what they have sent.
pub struct Clients {
    connections: Vec<Client>,
    dice: RefCell<Vec<Dice>>,
    agents: Vec<Agent>,
    counters: Vec<Counter>,
    /// The newest version that an answer named.
    versions: RefCell<HashMap<String, u64>>,
    sent: RefCell<Vec<Sent>>,
}

impl Clients {
    /// Connects to the servers.
    pub async fn connect(urls: &[String], dice: &mut Dice) -> Result<Self> {
        let connect = || ConnectOptions::new().reconnect_delay_callback(|_| Duration::from_millis(50)).connect(urls);
        Ok(Self {
            connections: try_join_all((0..CLIENTS).map(|_| connect())).await.context("a client does not connect")?,
            dice: RefCell::new((0..WRITERS).map(|_| dice.fork()).collect()),
            agents: (0..AGGREGATES).map(|_| Agent::new()).collect(),
            counters: (0..AGGREGATES).map(|_| Counter::new()).collect(),
            versions: RefCell::default(),
            sent: RefCell::default(),
        })
    }

    /// Sends commands until told that it is done.
    pub async fn work(&self, done: &Cell<bool>) {
        for agent in &self.agents {
            self.send(0, "agent", &agent.id, agent.deploy_configured()).await;
        }
        join_all((0..WRITERS).map(|writer| self.write(writer, done))).await;
    }

    /// Everything that was sent.
    pub fn sent(self) -> Vec<Sent> {
        self.sent.into_inner()
    }

    async fn write(&self, writer: usize, done: &Cell<bool>) {
        let mut pace = tokio::time::interval(PERIOD);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !done.get() {
            pace.tick().await;
            let place = self.place(writer);
            if self.dice.borrow_mut()[writer].below(DURABLE_SHARE) == 0 {
                self.send_durably(writer, place).await;
            } else {
                let (domain, id, message) = self.command(writer, place);
                self.send(writer, domain, &id, message).await;
            }
        }
    }

    /// Half of the writers' commands go to one and the same aggregate for a while.
    fn place(&self, writer: usize) -> usize {
        let dice = &mut self.dice.borrow_mut()[writer];
        let hot = self.sent.borrow().len() / 64 % (2 * AGGREGATES);
        let anyone = usize::try_from(dice.below(2 * AGGREGATES as u64)).unwrap_or_default();
        if dice.below(2) == 0 { hot } else { anyone }
    }

    fn command(&self, writer: usize, place: usize) -> Unsent {
        let dice = &mut self.dice.borrow_mut()[writer];
        match place.checked_sub(AGGREGATES) {
            None => self.to_agent(&self.agents[place], dice),
            Some(place) => self.to_counter(&self.counters[place], dice),
        }
    }

    fn to_agent(&self, agent: &Agent, dice: &mut Dice) -> Unsent {
        let set = |dice: &mut Dice| agent.set(&format!("key-{}", dice.below(KEYS)), Uuid::now_v7().to_string());
        let message = match dice.below(20) {
            0..=2 => agent.activate(),
            3..=5 => agent.suspend(),
            6 => agent.command("update_configuration", &json!({"changes": 1})),
            7..=9 => self.expecting(&agent.id, set(dice)),
            10 => {
                let new = Agent::new();
                return ("agent", new.id.clone(), new.deploy_configured());
            }
            _ => set(dice),
        };
        ("agent", agent.id.clone(), message)
    }

    fn to_counter(&self, counter: &Counter, dice: &mut Dice) -> Unsent {
        let by = 1 + dice.below(9);
        let message = match dice.below(20) {
            0 => counter.reset(),
            1 => Message::to("counter.commands.increment", json!({"counter_id": counter.id, "by": "many"}).to_string()),
            2..=4 => self.expecting(&counter.id, counter.increment(by)),
            _ => counter.increment(by),
        };
        ("counter", counter.id.clone(), message)
    }

    /// Only at the version that was last heard of, which others may have passed by now.
    fn expecting(&self, id: &str, message: Message) -> Message {
        let version = self.versions.borrow().get(id).copied().unwrap_or_default();
        message.expected_version(&version.to_string())
    }

    /// Sends a command; one without an outcome is sent again at once by some.
    async fn send(&self, writer: usize, domain: &'static str, id: &str, message: Message) {
        let command_id = Uuid::now_v7().to_string();
        let message = message.msg_id(&command_id);
        let client = &self.connections[writer % CLIENTS];
        let (patience, repeats) = {
            let dice = &mut self.dice.borrow_mut()[writer];
            (dice.time(PATIENCE_MS), dice.below(2) == 0)
        };
        let mut answers = vec![ask(client, &message, patience).await];
        if answers[0] == Answer::Unknown && repeats {
            answers.push(ask(client, &message, PATIENCE).await);
        }
        self.note(Sent {
            domain,
            aggregate: id.to_owned(),
            command_id,
            message,
            way: Way::Request,
            answers,
            again: None,
        });
    }

    /// Sends some commands at once through the durable lane.
    async fn send_durably(&self, writer: usize, place: usize) {
        let (patience, count) = {
            let dice = &mut self.dice.borrow_mut()[writer];
            (dice.time(PATIENCE_MS), 1 + dice.below(DURABLE_BURST))
        };
        let mut unsent = Vec::new();
        for _ in 0..count {
            let (domain, aggregate, message) = self.command(writer, place);
            let command_id = Uuid::now_v7().to_string();
            let message = message.msg_id(&command_id);
            unsent.push((domain, aggregate, command_id, message));
        }
        let messages: Vec<Message> = unsent.iter().map(|(.., message)| message.clone()).collect();
        let submitted = durable::submit(&self.connections[writer % CLIENTS], &messages, patience).await;
        for ((domain, aggregate, command_id, message), submitted) in unsent.into_iter().zip(submitted) {
            let (way, answers) = (Way::Durable { accepted: submitted.accepted }, vec![submitted.answer]);
            self.note(Sent { domain, aggregate, command_id, message, way, answers, again: None });
        }
    }

    fn note(&self, sent: Sent) {
        if let Some(Answer::Ok { version, .. }) = sent.answers.last() {
            self.versions.borrow_mut().insert(sent.aggregate.clone(), *version);
        }
        self.sent.borrow_mut().push(sent);
    }
}
