//! Many commands at once on a few agents, with a record of what became of each, and the check
//! that the log agrees with every answer. It must not know what goes wrong meanwhile.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use uuid::Uuid;

use crate::agent::Agent;
use crate::eventually::PATIENCE;
use crate::nats::Nats;
use crate::stored::{by_command, ensure_history};

/// How long a writer waits for one reply. Short, so that the end of a killed service does not stop
/// a test for long: what has no reply by then is unknown, and is asked for again later.
const REPLY_PATIENCE: Duration = Duration::from_secs(3);

/// Commands of one agent with an `ok` that are sent once more. All writers' commands since the
/// first of them must be fewer than an aggregate remembers.
const REPEATED: usize = 8;

/// One command that was sent. It sets a key named like its id, so that no two mean the same.
#[derive(Clone, Debug)]
pub struct Sent {
    /// To whom.
    pub agent: Agent,
    /// Under which id.
    pub command_id: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a sender knows of its command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stored, at this version.
    Ok(u64),
    /// Refused with this code.
    Error(String),
    /// No reply came.
    Silence,
}

/// Deploys some agents.
pub async fn agents(nats: &Nats, count: usize) -> Result<Vec<Agent>> {
    let agents: Vec<Agent> = (0..count).map(|_| Agent::new()).collect();
    for agent in &agents {
        nats.ask(agent.deploy()).await?.ok()?;
    }
    Ok(agents)
}

/// Sends `commands` per agent from each of `writers` at once. A writer stops where no reply comes
/// or the service says that it is not there.
pub async fn load(nats: &Nats, agents: &[Agent], writers: usize, commands: usize) -> Result<Vec<Sent>> {
    let all = agents.iter().flat_map(|agent| std::iter::repeat_n(agent, writers));
    let sent = all.map(|agent| write(nats, agent, commands));
    Ok(try_join_all(sent).await?.into_iter().flatten().collect())
}

async fn write(nats: &Nats, agent: &Agent, commands: usize) -> Result<Vec<Sent>> {
    let mut all = Vec::new();
    for _ in 0..commands {
        let mut sent = Sent { agent: agent.clone(), command_id: Uuid::now_v7().to_string(), outcome: Outcome::Silence };
        sent.outcome = send(nats, &sent, REPLY_PATIENCE).await?;
        let stop = !matches!(sent.outcome, Outcome::Ok(_));
        all.push(sent);
        if stop {
            break;
        }
    }
    Ok(all)
}

async fn send(nats: &Nats, sent: &Sent, patience: Duration) -> Result<Outcome> {
    let message = sent.agent.set(&sent.command_id, 1).msg_id(&sent.command_id);
    let Ok(Some(reply)) = nats.try_ask(message, patience).await else {
        return Ok(Outcome::Silence);
    };
    if reply.body["status"] == "ok" {
        return Ok(Outcome::Ok(reply.ok()?.version()?));
    }
    let code = reply.body["code"].as_str().unwrap_or_default().to_owned();
    reply.error(&code)?;
    Ok(Outcome::Error(code))
}

/// Sends once more, under the same ids, all that have no `ok`, until each has one, and the last
/// that have one: they must get the first outcome again. An aggregate remembers 128 commands.
pub async fn resolve(nats: &Nats, all: &mut [Sent]) -> Result<()> {
    let mut repeated: HashMap<String, usize> = HashMap::new();
    for sent in all.iter_mut().rev() {
        let before = sent.outcome.clone();
        if matches!(before, Outcome::Ok(_)) {
            let repeated = repeated.entry(sent.agent.id.clone()).or_default();
            *repeated += 1;
            if *repeated > REPEATED {
                continue;
            }
        }
        sent.outcome = send(nats, sent, PATIENCE).await?;
        match (&before, &sent.outcome) {
            (Outcome::Ok(first), Outcome::Ok(again)) => {
                ensure!(first == again, "first version {first}, then {again}: {sent:?}");
            }
            (_, Outcome::Ok(_)) => {}
            _ => anyhow::bail!("was {before:?}, now {sent:?}"),
        }
    }
    Ok(())
}

/// Every `ok` stands in the log exactly once at the version it named, nothing stands there twice,
/// and what was refused stands there not at all (`timeout` and silence may be either).
pub async fn ensure_log_agrees(nats: &Nats, all: &[Sent]) -> Result<()> {
    let mut histories = HashMap::new();
    for sent in all {
        if let Entry::Vacant(unread) = histories.entry(sent.agent.id.clone()) {
            let events = nats.stored(&sent.agent.id).await?;
            ensure_history(&events)?;
            let counts = by_command(&events)?;
            ensure!(counts.values().all(|count| *count == 1), "a command stands twice in the log: {counts:?}");
            unread.insert(events);
        }
        let events = &histories[&sent.agent.id];
        let found = events.iter().find(|event| event.header("ce-causationid").ok() == Some(&sent.command_id));
        match (&sent.outcome, found) {
            (Outcome::Ok(version), Some(event)) => {
                ensure!(event.version()? == *version, "{sent:?}: {event:?}")
            }
            (Outcome::Ok(_), None) => anyhow::bail!("an ok that is not in the log: {sent:?}"),
            (Outcome::Error(code), Some(event)) if code != "timeout" => {
                anyhow::bail!("refused and stored: {sent:?}: {event:?}");
            }
            _ => {}
        }
    }
    Ok(())
}
