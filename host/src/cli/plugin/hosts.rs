//! What hosts tell of themselves and their plugins, as far as it is used here. What is unknown
//! is passed over, so that newer hosts can tell more. Knows nothing of how it is asked or shown.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::control;
use crate::cli::CliError;
use crate::cli::client::Client;
use crate::cli::output::{harmless, remark};
use crate::domain::Digest;
use crate::name::{Name, control as subject, printable};

/// A host.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Host {
    /// Its id.
    pub(super) host: String,
    /// The name of its machine.
    #[serde(default)]
    pub(super) name: String,
    /// Where its plugins come from: `dir` or `nats`.
    pub(super) source: String,
    /// The service's version.
    #[serde(default)]
    pub(super) version: String,
    /// What it serves, or is to serve.
    #[serde(default)]
    pub(super) domains: Vec<Served>,
    /// What it would not serve.
    #[serde(default)]
    pub(super) refused: Vec<Refused>,
    /// What it will not serve by itself again.
    #[serde(default)]
    pub(super) denied: Vec<Denied>,
}

/// A domain of a host.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Served {
    pub(super) domain: String,
    pub(super) live: Option<Live>,
    pub(super) previous: Option<Code>,
    pub(super) wanted: Option<Target>,
    pub(super) shadow: Option<Shadowed>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Live {
    pub(super) version: String,
    pub(super) digest: Digest,
    pub(super) activation: u64,
    #[serde(default)]
    pub(super) since: String,
    #[serde(default)]
    pub(super) failures: u64,
    #[serde(default)]
    pub(super) probation_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Code {
    pub(super) version: String,
    pub(super) digest: Digest,
}

/// What is to be live, and under which number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Target {
    pub(super) digest: Digest,
    pub(super) activation: u64,
}

/// A candidate that decides beside the live code.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Shadowed {
    pub(super) digest: Digest,
    #[serde(default)]
    pub(super) version: String,
    pub(super) state: String,
    #[serde(default)]
    pub(super) compared: u64,
    #[serde(default)]
    pub(super) differing: u64,
    #[serde(default)]
    pub(super) not_compared: u64,
    #[serde(default)]
    pub(super) differences: Vec<Differing>,
}

/// A command that the two decided differently.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Differing {
    pub(super) aggregate: String,
    #[serde(default)]
    pub(super) version: u64,
    #[serde(default)]
    pub(super) verb: String,
    #[serde(default)]
    pub(super) command_id: String,
    pub(super) live: String,
    pub(super) candidate: String,
    #[serde(default)]
    pub(super) places: Vec<Place>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Place {
    pub(super) path: String,
    pub(super) live: Option<String>,
    pub(super) candidate: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Refused {
    #[serde(default)]
    pub(super) origin: String,
    pub(super) domain: Option<String>,
    pub(super) version: Option<String>,
    pub(super) digest: Option<Digest>,
    pub(super) why: String,
    #[serde(default)]
    pub(super) at: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Denied {
    pub(super) domain: String,
    pub(super) digest: Digest,
    #[serde(default)]
    pub(super) why: String,
}

impl Host {
    /// A host's document, where it is one.
    pub(super) fn read(document: &Value) -> Option<Self> {
        match Self::deserialize(document) {
            Ok(host) => Some(host),
            Err(error) => {
                let host = printable(&document["host"].to_string());
                remark(&format!("what host {host} tells is not understood and left out: {error}"));
                None
            }
        }
    }

    /// Whether its plugins come from NATS.
    pub(super) fn takes_from_nats(&self) -> bool {
        self.source == "nats"
    }

    /// What it has of a domain.
    pub(super) fn served(&self, domain: &Name) -> Option<&Served> {
        self.domains.iter().find(|served| served.domain == domain.as_str())
    }

    /// For people: the machine's name and the id, of which one alone may be any.
    pub(super) fn label(&self) -> String {
        harmless(&format!("{} ({})", self.name, self.host))
    }

    /// Every component that it names.
    pub(super) fn digests(&self) -> BTreeSet<Digest> {
        let mut digests: BTreeSet<Digest> = BTreeSet::new();
        for served in &self.domains {
            digests.extend(served.live.iter().map(|live| live.digest));
            digests.extend(served.previous.iter().map(|code| code.digest));
            digests.extend(served.wanted.iter().map(|target| target.digest));
            digests.extend(served.shadow.iter().map(|shadow| shadow.digest));
        }
        digests.extend(self.refused.iter().filter_map(|refused| refused.digest));
        digests.extend(self.denied.iter().map(|denied| denied.digest));
        digests
    }
}

/// The hosts that answer, by name.
pub(super) async fn ask(client: &Client) -> Result<Vec<Host>, CliError> {
    let documents = control::gather(client, subject::LIST, &json!({})).await?;
    let mut hosts: Vec<Host> = documents.iter().filter_map(Host::read).collect();
    hosts.sort_by(|a, b| (&a.name, &a.host).cmp(&(&b.name, &b.host)));
    Ok(hosts)
}

/// The same hosts again, as soon as all of them have answered.
pub(super) async fn ask_again(client: &Client, ids: &BTreeSet<String>) -> Result<Vec<Host>, CliError> {
    let documents = control::gather_from(client, subject::LIST, &json!({}), ids).await?;
    Ok(documents.iter().filter_map(Host::read).collect())
}
