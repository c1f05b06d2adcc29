//! A responder in a process of its own: request, event with acknowledgement, reply. What the
//! service is held against, so it does as little as the messages allow. It must not know the
//! host's code.

mod append;
mod bare;
mod native;

use std::cell::RefCell;
use std::collections::HashMap;

use anyhow::{Context as _, Result, anyhow};
use async_nats::{Client, HeaderMap, Message};
use bytes::Bytes;
use futures::StreamExt as _;

use self::append::Appender;
use self::bare::NoRules;
use self::native::AgentRules;
use crate::contender::Contender;
use crate::options::Rules;

/// Requests in work at once: more than any load here has in flight.
const IN_WORK_MAX: usize = 1_024;

/// Answers the commands of its domain until the process is killed.
pub(crate) async fn run(rules: Rules, nats_url: &str) -> Result<()> {
    let client = async_nats::connect(nats_url).await.context("the server does not take the responder")?;
    match rules {
        Rules::Bare => Responder::new(client, Contender::Bare, NoRules::new()?).run().await,
        Rules::Native => Responder::new(client, Contender::Native, AgentRules).run().await,
    }
}

/// What decides on a command and keeps state.
trait Decider {
    /// One agent.
    type State;

    /// An agent without events.
    fn create(&self, id: &str) -> Self::State;

    /// The one event that the command leads to.
    fn decide(&self, state: &Self::State, command: &Command<'_>, version: u64) -> Result<Fact>;

    /// Applies it once it is stored.
    fn evolve(&self, state: &mut Self::State, fact: &Fact) -> Result<()>;
}

/// A command as it came.
struct Command<'a> {
    id: &'a str,
    verb: &'a str,
    command_id: &'a str,
    payload: &'a [u8],
}

/// An event to be stored.
#[derive(Clone)]
struct Fact {
    name: &'static str,
    payload: Bytes,
}

/// An agent in memory, and where its events end.
struct Held<S> {
    state: S,
    version: u64,
    last_sequence: u64,
}

struct Responder<D: Decider> {
    client: Client,
    domain: &'static str,
    decider: D,
    appender: Appender,
    /// Those not in work: the load never has two commands in flight for one agent.
    agents: RefCell<HashMap<String, Held<D::State>>>,
}

impl<D: Decider> Responder<D> {
    fn new(client: Client, contender: Contender, decider: D) -> Self {
        let appender = Appender::new(client.clone(), contender);
        Self { client, domain: contender.domain(), decider, appender, agents: RefCell::default() }
    }

    async fn run(&self) -> Result<()> {
        let subject = format!("{}.commands.>", self.domain);
        let requests = self.client.queue_subscribe(subject, "agent-workers".to_owned()).await?;
        requests.for_each_concurrent(IN_WORK_MAX, |message| self.answer(message)).await;
        Err(anyhow!("the connection has ended"))
    }

    async fn answer(&self, message: Message) {
        let Some(reply) = message.reply.clone() else { return };
        let mut headers = HeaderMap::new();
        let payload = match self.execute(&message).await {
            Ok(payload) => {
                headers.insert("Agent-Status", "ok");
                payload
            }
            Err(error) => {
                headers.insert("Agent-Status", "unavailable");
                format!("{error:#}")
            }
        };
        // Where the reply cannot be sent, the load sees a timeout and says so.
        let _ = self.client.publish_with_headers(reply, headers, payload.into()).await;
    }

    async fn execute(&self, message: &Message) -> Result<String> {
        let command = Command {
            id: crate::sample_agent::id_in(&message.payload).context("the payload does not begin with an id")?,
            verb: message.subject.rsplit('.').next().unwrap_or_default(),
            command_id: message
                .headers
                .as_ref()
                .and_then(|headers| headers.get("Nats-Msg-Id"))
                .context("the command has no id")?
                .as_str(),
            payload: &message.payload,
        };
        let held = self.agents.borrow_mut().remove(command.id);
        let mut held =
            held.unwrap_or_else(|| Held { state: self.decider.create(command.id), version: 0, last_sequence: 0 });
        let fact = self.decider.decide(&held.state, &command, held.version)?;
        let sequence = self.appender.append(&command, &fact, held.version + 1, held.last_sequence).await?;
        self.decider.evolve(&mut held.state, &fact)?;
        held.version += 1;
        held.last_sequence = sequence;
        let version = held.version;
        self.agents.borrow_mut().insert(command.id.to_owned(), held);
        Ok(format!(
            r#"{{"status":"ok","id":"{}","version":{version},"duplicate":false,"events":[{{"type":"{}","version":{version},"sequence":{sequence}}}]}}"#,
            command.id, fact.name
        ))
    }
}
