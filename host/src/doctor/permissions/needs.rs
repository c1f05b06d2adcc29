//! The rights that a host with these settings needs. Knows nothing of how they are tried.

use crate::config::{PluginSource, SnapshotKeeping, Switch};
use crate::doctor::facts::{Kept, Site, Standing, Stood, Stream};
use crate::name::{Subjects, control};
use crate::nats;

/// Subjects below which nothing is ever sent: no request has as many tokens.
const NOWHERE: &str = "agent-service-doctor.1.2.3.4.5";
/// An id that no aggregate has.
const NOBODY: &str = "agent-service-doctor";

/// A right, and what a host does with it.
pub(super) struct Need {
    pub(super) right: Right,
    pub(super) what: &'static str,
}

/// A right.
pub(super) enum Right {
    /// To publish to this subject.
    Publish(String),
    /// To subscribe: the subject that is tried, and what it stands for.
    Subscribe { subject: String, shown: String, queue: Option<String> },
}

impl Right {
    /// The subject that is tried.
    pub(super) fn subject(&self) -> &str {
        match self {
            Self::Publish(subject) | Self::Subscribe { subject, .. } => subject,
        }
    }
}

/// All of them.
pub(super) fn needs(site: &Site<'_>, kept: &Kept) -> Vec<Need> {
    let mut all = List { api: nats::api_prefix(site.connection), needs: Vec::new() };
    all.call("INFO", "to ask for the account");
    for verb in ["PING", "INFO", "STATS"] {
        all.hear(format!("$SRV.{verb}"), "to be found by `nats micro ls`");
    }
    all.hear(control::ALL.to_owned(), "to be asked by operators");
    all.hear(format!("{}.{NOBODY}.>", site.connection.nats_inbox_prefix), "to be answered");
    for stood in &kept.domains {
        of_domain(&mut all, site, stood);
    }
    if site.service.plugin_source == PluginSource::Nats {
        for (name, stream) in &kept.fleet {
            all.stream(name, stream);
            if name.starts_with("KV_") {
                all.call(&format!("CONSUMER.CREATE.{name}.doctor.>"), "to follow what the fleet runs");
            }
        }
    }
    all.needs
}

fn of_domain(all: &mut List, site: &Site<'_>, stood: &Stood) {
    let (service, domain) = (site.service, stood.domain.as_str());
    let subjects = Subjects::new(&stood.domain);
    for (subject, kind) in [(subjects.commands(), "commands"), (subjects.queries(), "queries")] {
        let tried = format!("{domain}.{kind}.{NOWHERE}");
        let right = Right::Subscribe { subject: tried, shown: subject, queue: Some(service.queue_group.clone()) };
        all.needs.push(Need { right, what: "to take requests" });
    }
    all.publish(format!("{domain}.events.{NOBODY}.probe"), "to store events");
    all.publish(control::event(Some(&stood.domain), "live"), "to tell of plugins");
    let name = &stood.events.name;
    all.standing(&stood.events);
    all.call(&format!("DIRECT.GET.{name}"), "to read events");
    all.call(&format!("STREAM.MSG.GET.{name}"), "to read from the stream's leader");
    all.call(&format!("CONSUMER.CREATE.{name}"), "to read the log");
    if service.snapshot_store == SnapshotKeeping::Jetstream {
        snapshots(all, site, &stood.snapshots);
    }
    if service.inbox == Switch::On {
        durable_lane(all, site, stood);
    }
}

fn snapshots(all: &mut List, site: &Site<'_>, bucket: &Standing) {
    let name = &bucket.name;
    let key = format!("$KV.{}.{NOBODY}", name.trim_start_matches("KV_"));
    all.standing(bucket);
    all.call(&format!("DIRECT.GET.{name}.{key}"), "to read snapshots");
    // In a JetStream domain the client library goes by the domain's own subjects.
    let written = match site.connection.js_domain() {
        "" => key,
        _ => format!("{}.{key}", all.api),
    };
    all.publish(written, "to write snapshots");
    all.call(&format!("STREAM.PURGE.{name}"), "to remove chunks of older snapshots");
}

fn durable_lane(all: &mut List, site: &Site<'_>, stood: &Stood) {
    let (inbox, domain) = (&stood.inbox.name, stood.domain.as_str());
    let group = &site.service.queue_group;
    let consumer: String = group.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    all.standing(&stood.inbox);
    all.standing(&stood.dead);
    for verb in ["CREATE", "INFO", "RESET", "UNPIN", "MSG.NEXT"] {
        all.call(&format!("CONSUMER.{verb}.{inbox}.{consumer}"), "to serve the durable lane");
    }
    for verb in ["GET", "DELETE"] {
        all.call(&format!("STREAM.MSG.{verb}.{inbox}"), "to park what cannot be read");
    }
    all.publish(format!("$JS.ACK.{inbox}.{consumer}.1.1.1.1.0"), "to acknowledge durable commands");
    all.publish(format!("{domain}.dead.{NOBODY}.probe"), "to park durable commands");
}

/// The list as it grows.
struct List {
    /// What the subjects of JetStream's API begin with.
    api: String,
    needs: Vec<Need>,
}

impl List {
    fn publish(&mut self, subject: String, what: &'static str) {
        self.needs.push(Need { right: Right::Publish(subject), what });
    }

    fn call(&mut self, call: &str, what: &'static str) {
        self.publish(format!("{}.{call}", self.api), what);
    }

    fn hear(&mut self, subject: String, what: &'static str) {
        let right = Right::Subscribe { shown: subject.clone(), subject, queue: None };
        self.needs.push(Need { right, what });
    }

    fn standing(&mut self, standing: &Standing) {
        self.stream(&standing.name, &standing.stream);
    }

    /// To look at a stream, and to make it where there is none.
    fn stream(&mut self, name: &str, stream: &Stream) {
        self.call(&format!("STREAM.INFO.{name}"), "to look at the stream");
        if matches!(stream, Stream::Missing) {
            self.call(&format!("STREAM.CREATE.{name}"), "to make the stream, which is not there yet");
        }
    }
}
