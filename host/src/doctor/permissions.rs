//! `permissions`: whether the user holds the rights that a host needs, found out without doing what
//! they allow. A server judges the right to publish before it looks at the reply subject, and refuses a
//! reply subject of its own kind before it passes a message on: so a message with such a reply is
//! delivered to nobody, and which of the two refusals comes says whether the right is held. A right to
//! subscribe is tried by a subscription, for requests below a subject that nothing is sent to.

mod needs;

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use self::needs::{Need, Right, needs};
use super::facts::{Kept, Reached, Site};
use super::finding::Seen;
use super::heard::Heard;
use crate::nats::Client;

/// What reply subjects begin with that a server keeps for itself.
const RESERVED_REPLY: &str = "_R_";
/// Rights that are tried at once: the client library drops what a server says when more than some
/// dozens wait.
const AT_ONCE: usize = 16;
/// Missing rights that are listed, one line each; all are counted.
const LISTED_MAX: usize = 20;

pub(super) fn permissions<'a>(site: &'a Site<'a>, reached: &'a Reached, kept: &'a Kept) -> BoxFuture<'a, Vec<Seen>> {
    async move {
        let Some(heard) = &reached.heard else {
            return vec![Seen::skipped("others use this connection too")];
        };
        let needs = needs(site, kept);
        match missing(&reached.client, heard, &needs).await {
            Ok(missing) if missing.is_empty() => {
                vec![Seen::ok(format!("all {} rights that a host needs are held", needs.len()))]
            }
            Ok(missing) => told(&missing),
            Err(why) => vec![Seen::skipped(why)],
        }
    }
    .boxed()
}

fn told(missing: &[&Need]) -> Vec<Seen> {
    let mut seen: Vec<Seen> = missing
        .iter()
        .take(LISTED_MAX)
        .map(|need| {
            let (verb, subject) = match &need.right {
                Right::Publish(subject) => ("publish", subject),
                Right::Subscribe { shown, .. } => ("subscribe", shown),
            };
            let text = format!("this user may not {verb} to {subject}: {}", need.what);
            Seen::failure(text, "grant it to the host's user, see docs/operate.md, Who may do what")
        })
        .collect();
    if missing.len() > LISTED_MAX {
        seen.push(Seen::failure(
            format!("{} more rights are missing", missing.len() - LISTED_MAX),
            "grant these first",
        ));
    }
    seen
}

async fn missing<'a>(client: &Client, heard: &Heard, needs: &'a [Need]) -> Result<Vec<&'a Need>, String> {
    // A server that does not refuse such a reply would pass the messages on. This one goes to nobody.
    let name = uuid::Uuid::now_v7().simple().to_string();
    mark(client, heard, &name).await?;
    let mut missing = Vec::new();
    for (round, some) in needs.chunks(AT_ONCE).enumerate() {
        let mut subscriptions = Vec::new();
        for need in some {
            match &need.right {
                Right::Publish(subject) => publish(client, subject, &format!("{name}.{round}")).await?,
                Right::Subscribe { subject, queue: Some(queue), .. } => {
                    subscriptions.push(client.queue_subscribe(subject.clone(), queue.clone()).await);
                }
                Right::Subscribe { subject, queue: None, .. } => {
                    subscriptions.push(client.subscribe(subject.clone()).await);
                }
            }
        }
        let said = mark(client, heard, &format!("{name}-{round}")).await?;
        let refused: BTreeSet<&str> = said.iter().filter_map(|line| refused(line)).collect();
        missing.extend(some.iter().filter(|need| refused.contains(need.right.subject())));
    }
    Ok(missing)
}

/// Sends a message whose refusal ends what is said to all before it.
async fn mark(client: &Client, heard: &Heard, name: &str) -> Result<Vec<String>, String> {
    publish(client, &format!("_INBOX.{name}"), name).await?;
    let said = heard.until(name).await;
    said.ok_or_else(|| "this server does not say who may publish without passing the message on".to_owned())
}

async fn publish(client: &Client, subject: &str, name: &str) -> Result<(), String> {
    let reply = format!("{RESERVED_REPLY}.{name}");
    let sent = client.publish_with_reply(subject.to_owned(), reply, Bytes::new()).await;
    sent.map_err(|error| format!("it cannot be tried: {error}"))
}

/// The subject that a line refuses: `Permissions Violation for Publish to "x"`, `… for Subscription to
/// "x" using queue "y"`. The refusal of a reply subject is none.
fn refused(line: &str) -> Option<&str> {
    let (_, of) = line.split_once("Permissions Violation for ")?;
    let rest = of.strip_prefix("Publish to \"").or_else(|| of.strip_prefix("Subscription to \""))?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_read_from_what_servers_say() {
        assert_eq!(refused(r#"nats: Permissions Violation for Publish to "a.b""#), Some("a.b"));
        assert_eq!(refused(r#"nats: Permissions Violation for Subscription to "a.>" using queue "q""#), Some("a.>"));
        assert_eq!(refused(r#"nats: Permissions Violation for Publish with Reply of "_R_.x""#), None);
        assert_eq!(refused("nats: Invalid Subject"), None);
    }
}
