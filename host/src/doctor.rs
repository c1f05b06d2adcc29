//! What a good colleague looks at when the service does not start, events are missing, or memory is
//! high: one list of checks, each with a name. All of them are made when somebody asks; a host that
//! has started makes those that need nothing beyond what it has. Changes nothing, and knows nothing
//! of how findings are shown.

mod account;
mod bucket;
mod cache_directory;
mod certificates;
mod clock;
mod credentials;
mod defects;
mod facts;
mod finding;
mod fleet;
mod gather;
mod heard;
mod homes;
mod hosts;
mod inbox;
mod limits;
mod list;
mod machine;
mod max_age;
mod monitor;
mod own_host;
mod permissions;
mod plugins;
mod replicas;
mod server;
mod settings;
mod shelf;
mod snapshots;
mod streams;

use futures::future::BoxFuture;

use self::facts::{Kept, Reached, Site, Stood};
use self::finding::Seen;
pub use self::finding::{Finding, Grade};
pub use self::list::CHECKS;
use self::shelf::Shelf;
use crate::config::{Connection, Service};
use crate::name::Name;
use crate::nats::{Client, JetStream};

/// How far to look.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The domains; with none, those of the plugins and of the hosts that run.
    pub domains: Vec<Name>,
    /// The server's monitoring port, `http://HOST:PORT`.
    pub monitor: Option<String>,
    /// Whether a message may be sent that no stream stores, and that whoever listens to events sees.
    pub probe: bool,
}

/// One thing to look at.
pub struct Check {
    /// Its name, as findings and the book have it.
    pub name: &'static str,
    /// Whether a host makes it when it has started.
    at_start: bool,
    how: How,
}

/// What a check needs. Where that cannot be had the check is skipped, and says so.
enum How {
    /// The settings and this machine.
    Here(fn(&Site<'_>) -> Vec<Seen>),
    /// A page of a host or a server.
    Page(for<'a> fn(&'a Site<'a>) -> BoxFuture<'a, Vec<Seen>>),
    /// NATS.
    Nats(fn(&Site<'_>, &Reached) -> Vec<Seen>),
    /// JetStream.
    JetStream(fn(&Site<'_>, &Kept) -> Vec<Seen>),
    /// A domain, and JetStream.
    Domain(fn(&Site<'_>, &Stood) -> Vec<Seen>),
    /// NATS and JetStream, to ask them something more.
    Asking(for<'a> fn(&'a Site<'a>, &'a Reached, &'a Kept) -> BoxFuture<'a, Vec<Seen>>),
}

/// Makes all checks, in their order.
pub async fn examine(connection: &Connection, service: &Service, scope: &Scope) -> Vec<Finding> {
    let of_plugins = service.clone();
    let shelf = tokio::task::spawn_blocking(move || Shelf::of(&of_plugins)).await;
    let shelf = shelf.unwrap_or_else(|error| Shelf::unknown(error.to_string()));
    let nats = match connection.check() {
        Ok(()) => gather::all(connection, service, scope, &shelf.domains()).await,
        Err(error) => Err(error.to_string()),
    };
    let site = Site { connection, service, scope, shelf, nats };
    findings(&site, |_| true).await
}

/// Makes the checks that a host makes when it has started, over its own connection.
pub async fn at_start(
    connection: &Connection,
    service: &Service,
    client: Client,
    context: JetStream,
    domains: Vec<Name>,
) -> Vec<Finding> {
    let nats = gather::at_start(client, context, service, domains).await;
    let shelf = Shelf::unknown("it is not looked at here".into());
    let site = Site { connection, service, scope: &Scope::default(), shelf, nats };
    findings(&site, |check| check.at_start).await
}

async fn findings(site: &Site<'_>, is_made: fn(&Check) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for check in CHECKS.iter().filter(|check| is_made(check)) {
        findings.extend(check.make(site).await.into_iter().map(|seen| seen.by(check.name)));
    }
    findings
}

impl Check {
    async fn make(&self, site: &Site<'_>) -> Vec<Seen> {
        let skipped = |why| vec![Seen::skipped(why)];
        match self.how {
            How::Here(look) => look(site),
            How::Page(look) => look(site).await,
            How::Nats(look) => site.reached().map_or_else(skipped, |reached| look(site, reached)),
            How::JetStream(look) => site.kept().map_or_else(skipped, |(_, kept)| look(site, kept)),
            How::Domain(look) => {
                let each = |kept: &Kept| kept.domains.iter().flat_map(|stood| look(site, stood)).collect();
                site.kept().map_or_else(skipped, |(_, kept)| each(kept))
            }
            How::Asking(look) => match site.kept() {
                Ok((reached, kept)) => look(site, reached, kept).await,
                Err(why) => skipped(why),
            },
        }
    }
}
