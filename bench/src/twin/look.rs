//! One read of an agent's last event from the stream's leader, and a reply as long as the service's.
//! It must not know state.

use anyhow::{Result, ensure};
use async_nats::{Client, jetstream};
use bytes::Bytes;

use super::{Answer, Answers, Request};
use crate::contender::Contender;
use crate::place::Native;
use crate::sample_agent::{DEPLOY, UPDATE, deployment, update};

pub(super) struct Look {
    context: jetstream::Context,
    rejection: Bytes,
    state: Bytes,
}

impl Look {
    /// Makes the replies, once.
    pub(super) fn new(client: &Client) -> Result<Self> {
        let id = uuid::Uuid::nil().to_string();
        let mut agent = Native::new(&id);
        agent.events(DEPLOY, &deployment(&id))?;
        agent.events(UPDATE, &update(&id, 1))?;
        let view = String::from_utf8(agent.view())?;
        let rejection = format!(
            r#"{{"status":"error","code":"rejected","reason":"already_deployed","message":"agent is deployed already","retryable":false,"id":"{id}","version":2}}"#
        );
        let state = format!(r#"{{"status":"ok","id":"{id}","version":2,"state":{view}}}"#);
        let (rejection, state) = (rejection.into_bytes().into(), state.into_bytes().into());
        Ok(Self { context: jetstream::new(client.clone()), rejection, state })
    }
}

impl Answers for Look {
    async fn answer(&self, request: &Request<'_>) -> Result<Answer> {
        let domain = Contender::Service.domain();
        let stream = self.context.get_stream_no_info(Contender::Service.stream()).await?;
        let subject = format!("{domain}.events.{}.*", request.id);
        let last = stream.get_last_raw_message_by_subject(&subject).await?;
        ensure!(last.sequence > 0, "an event without a sequence");
        Ok(match request.verb {
            DEPLOY => Answer { status: "rejected", payload: self.rejection.clone() },
            _ => Answer { status: "ok", payload: self.state.clone() },
        })
    }
}
