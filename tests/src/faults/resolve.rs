//! After the faults: what has no outcome is sent again under its id until it has one, and so are
//! some that had one. It must not judge.

use std::collections::HashMap;

use super::answer::{Answer, PATIENCE, Sent, ask};
use super::logged::Logged;
use crate::eventually::eventually;
use crate::nats::Nats;

/// Commands of one aggregate with an `ok` that are sent once more, its newest. Each may add nothing,
/// and what is sent again must be among the last 128 of its aggregate.
const REPEATED: usize = 5;
/// How far back a command may lie to be sent again, in versions: within what the contract says is
/// remembered, less what is stored meanwhile.
const REACH: u64 = 100;

/// Commands that stay without an outcome before no more are sent: each takes long, and one is enough.
const OPEN_MAX: usize = 3;

/// Sends again; the answers are left in the commands.
pub async fn ask_again(nats: &Nats, sent: &mut [Sent], log: &[Logged]) {
    let mut newest: HashMap<(&str, &str), u64> = HashMap::new();
    let mut effects: HashMap<(&str, &str), u64> = HashMap::new();
    for event in log {
        newest.insert((event.domain, &event.aggregate), event.version);
        effects.insert((event.domain, &event.command_id), event.version);
    }
    let newest_of = |sent: &Sent| newest.get(&(sent.domain, sent.aggregate.as_str())).copied().unwrap_or_default();
    let mut repeated: HashMap<(&str, String), usize> = HashMap::new();
    let mut open = 0;
    for sent in sent.iter_mut().rev() {
        let known = sent.answers.iter().find_map(|answer| match answer {
            Answer::Ok { version, .. } => Some(*version),
            _ => None,
        });
        let again = match known {
            None => {
                // What stands further back than is remembered would be decided anew: that it stands tells.
                let effect = effects.get(&(sent.domain, sent.command_id.as_str()));
                let forgotten = effect.is_some_and(|version| newest_of(sent).saturating_sub(*version) >= REACH);
                !forgotten && sent.answers.last().is_some_and(Answer::is_open)
            }
            Some(version) => {
                let count = repeated.entry((sent.domain, sent.aggregate.clone())).or_default();
                *count += 1;
                *count <= REPEATED && newest_of(sent).saturating_sub(version) < REACH
            }
        };
        if again {
            let answer = outcome(nats, sent).await;
            open += usize::from(answer.is_open());
            sent.again = Some(answer);
        }
        if open >= OPEN_MAX {
            return;
        }
    }
}

async fn outcome(nats: &Nats, sent: &Sent) -> Answer {
    let mut last = Answer::Unknown;
    // Its failure is the last answer, which the checker judges.
    let _ = eventually("a command has an outcome", async || {
        last = ask(nats.client(), &sent.message, PATIENCE).await;
        anyhow::ensure!(!last.is_open(), "still open");
        Ok(())
    })
    .await;
    last
}
