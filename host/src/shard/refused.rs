//! What it means for a command that its events were refused: another writer was first, it was stored
//! before, or it may be stored yet. Knows nothing of how it is decided.

use super::failures::unavailable;
use super::live::Live;
use super::pipeline::Pipeline;
use crate::domain::EVENTS_PER_COMMAND_MAX;
use crate::event::event_id;
use crate::message::{Code, Command, Failure, Outcome, Recorded};
use crate::remembered::{RememberedCommand, RememberedCommands};
use crate::store::Replica;

/// Events read at once in search of a command.
const EVENTS_PER_READ: usize = 256;

impl Pipeline {
    /// Reads what the log has beyond the aggregate after a refusal, the newest at `last` where that was
    /// told: whether the leader was asked. With something newer there, what was refused can never be
    /// stored, also where that is nothing that this host understands.
    pub(super) async fn catch_up_refused(
        &self,
        command: &Command,
        aggregate: &mut Live,
        last: Option<u64>,
        may_be_stored: &mut bool,
    ) -> Result<bool, Failure> {
        let (id, before) = (&command.id, aggregate.last_sequence);
        let taken = match last {
            Some(last) => self.take_few(id, aggregate, last).await,
            None => Ok(false),
        };
        let caught_up = match taken {
            Ok(true) => Ok((true, false)),
            Ok(false) => self.catch_up(id, aggregate).await.map(|newer| (newer, true)),
            Err(failure) => Err(failure),
        };
        let failure = match caught_up {
            Ok((newer, confirmed)) => {
                *may_be_stored &= !newer;
                return Ok(confirmed);
            }
            Err(failure) => failure,
        };
        if *may_be_stored && let Ok(Some(head)) = self.events.head(id, Replica::Leader).await {
            let own = |index| Some(event_id(&self.domain, id, &command.command_id, index)) == head.event_id();
            *may_be_stored = head.sequence <= before || (0..EVENTS_PER_COMMAND_MAX).any(own);
        }
        Err(failure)
    }

    /// The reply that the first delivery of a command got, rebuilt from its events; `None`
    /// where those events are of another command.
    pub(super) async fn first_outcome(
        &self,
        command: &Command,
        earlier: RememberedCommand,
    ) -> Result<Option<Outcome>, Failure> {
        let id = &command.id;
        let count = u64::from(earlier.events);
        let (from, through) = (earlier.first_sequence, earlier.first_sequence + count - 1);
        let stored = self.events.read(id, from, through, count as usize).await.map_err(|e| unavailable(id, e))?;
        let version = earlier.first_version + count - 1;
        let mut events = Vec::with_capacity(stored.len());
        for event in &stored {
            let Ok(origin) = &event.origin else { return Ok(None) };
            match event.written_as(origin.version) {
                Ok((name, origin)) if origin.command_id == command.command_id => {
                    events.push(Recorded { name, version: origin.version, sequence: event.sequence });
                }
                _ => return Ok(None),
            }
        }
        // Events that have aged are told no more; that they were stored still is.
        Ok(Some(Outcome::Accepted { id: id.clone(), version, duplicate: true, events }))
    }

    /// The reply to a command that JetStream still knows though the aggregate has forgotten it:
    /// more commands than it remembers came since, within the duplicate window.
    pub(super) async fn forgotten_outcome(&self, aggregate: &Live, command: &Command) -> Result<Outcome, Failure> {
        let id = &command.id;
        let (mut found, mut from) = (RememberedCommands::default(), 1);
        while from <= aggregate.last_sequence {
            let read = self.events.read(id, from, aggregate.last_sequence, EVENTS_PER_READ).await;
            let events = read.map_err(|e| unavailable(id, e))?;
            let Some(last) = events.last() else { break };
            from = last.sequence + 1;
            for event in &events {
                if let Ok(origin) = &event.origin
                    && origin.command_id == command.command_id
                {
                    found.observe(&origin.command_id, origin.version, event.sequence);
                }
            }
        }
        let outcome = match found.find(&command.command_id) {
            Some(earlier) => self.first_outcome(command, earlier).await?,
            None => None,
        };
        outcome.ok_or_else(|| {
            let message = "JetStream has the command's events by their ids, but they are not in the stream: were they deleted? Send the command with another id";
            Failure::new(Code::Unavailable, message).of(id, aggregate.version)
        })
    }
}
