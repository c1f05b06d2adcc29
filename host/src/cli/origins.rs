//! What a history leaves out of its events: their origin, read from the stream beside it.

use async_nats::jetstream::Context;

use super::CliError;
use super::event_line::Origin;
use super::event_reader::{EventReader, Selection, StreamEvent};

/// The origins of one aggregate's events, asked for in the order of the stream.
pub(super) struct Origins<'a> {
    context: &'a Context,
    selection: Selection,
    reader: Reader,
}

enum Reader {
    NotOpened,
    /// With the event read last, where its turn has not come.
    Open(Box<EventReader>, Option<StreamEvent>),
    /// Who may ask a host may not read the stream: the list then goes without.
    Unreadable,
}

impl<'a> Origins<'a> {
    /// Origins of the selected events.
    pub(super) fn new(context: &'a Context, selection: Selection) -> Self {
        Self { context, selection, reader: Reader::NotOpened }
    }

    /// The origin of the event at a sequence; empty where the stream does not tell.
    pub(super) async fn of(&mut self, sequence: u64) -> Origin {
        match self.find(sequence).await {
            Ok(found) => found.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, "events are listed without command, correlation, actor and plugin");
                self.reader = Reader::Unreadable;
                Origin::default()
            }
        }
    }

    async fn find(&mut self, sequence: u64) -> Result<Option<Origin>, CliError> {
        if let Reader::NotOpened = self.reader {
            let reader = EventReader::open(self.context, self.selection.clone()).await?;
            self.reader = Reader::Open(Box::new(reader), None);
        }
        let Reader::Open(reader, waiting) = &mut self.reader else { return Ok(None) };
        loop {
            match waiting.take() {
                Some(event) if event.sequence > sequence => {
                    *waiting = Some(event);
                    return Ok(None);
                }
                Some(event) if event.sequence == sequence => return Ok(Some(Origin::read(&event.headers))),
                _ => {}
            }
            *waiting = reader.next_known().await?;
            if waiting.is_none() {
                return Ok(None);
            }
        }
    }
}
