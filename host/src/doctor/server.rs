//! `nats`, `server_version`, `max_payload`, `jetstream`: the server that answers, and what it can do.

use std::time::Duration;

use super::defects;
use super::facts::{Reached, Site, bytes, text};
use super::finding::Seen;
use crate::store::jetstream::look::LookError;

/// A command waits for two round trips at least; past this, clients notice the way and not the work.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(100);
/// Headers that come with a command.
const HEADER_BYTES: usize = 4 << 10;

pub(super) fn nats(site: &Site<'_>) -> Vec<Seen> {
    let reached = match &site.nats {
        Ok(reached) => reached,
        Err(why) => {
            return vec![Seen::failure(why, "do what it says: what lies behind NATS cannot be looked at before")];
        }
    };
    let server = reached.client.server_info();
    let cluster = server.cluster.map(|name| format!(", of the cluster {name}")).unwrap_or_default();
    let text = format!(
        "{} is there ({}{cluster}), a message is back after {:.1} ms",
        site.connection.nats_url,
        server.server_name,
        reached.round_trip.as_secs_f64() * 1_000.0
    );
    vec![match reached.round_trip {
        _ if server.lame_duck_mode => Seen::warning(text + ", and it is being shut down", "wait for it to come back"),
        far if far > ROUND_TRIP_MAX => {
            Seen::warning(text, "run hosts close to their servers, with a leaf node if need be")
        }
        _ => Seen::ok(text),
    }]
}

pub(super) fn server_version(_: &Site<'_>, reached: &Reached) -> Vec<Seen> {
    let mut seen = of_version("the connected server", &reached.client.server_info().version);
    // Through a cluster or a leaf another one may judge what is stored.
    let kept = reached.jetstream.as_ref().ok();
    let leaders = kept.into_iter().flat_map(|kept| &kept.domains).filter_map(|stood| {
        let version = text(stood.events.info()?, "/config/metadata/_nats.ver");
        (!version.is_empty()).then(|| (stood.events.name.clone(), version.to_owned()))
    });
    for (stream, version) in leaders.filter(|(_, version)| *version != reached.client.server_info().version) {
        seen.extend(of_version(&format!("the leader of {stream}"), &version));
    }
    seen
}

fn of_version(whose: &str, version: &str) -> Vec<Seen> {
    let known = defects::of(version);
    if known.is_empty() {
        return vec![Seen::ok(format!("{whose} has version {version}, of which nothing is known that harms"))];
    }
    known.into_iter().map(|defect| defect.seen(whose, version)).collect()
}

pub(super) fn max_payload(site: &Site<'_>, reached: &Reached) -> Vec<Seen> {
    let (max, largest) = (reached.client.server_info().max_payload, site.service.command_bytes_max as usize);
    let text = format!("messages may have {}, commands COMMAND_BYTES_MAX={largest}", bytes(max as u64));
    vec![if max < largest + HEADER_BYTES {
        Seen::warning(
            text,
            "raise the server's max_payload or lower COMMAND_BYTES_MAX: larger commands are refused by the server, and no host sees them",
        )
    } else {
        Seen::ok(text)
    }]
}

pub(super) fn jetstream(site: &Site<'_>, reached: &Reached) -> Vec<Seen> {
    let asked = site.connection.js_domain();
    vec![match &reached.jetstream {
        Ok(kept) => {
            let own = text(&kept.account, "/domain");
            let connected = reached.client.server_info().domain.unwrap_or_default();
            let way = if connected == own { "" } else { ", by way of a server of another domain" };
            match own {
                "" => Seen::ok("it answers; it has no domain of its own"),
                own => Seen::ok(format!("it answers, of the domain {own}{way}")),
            }
        }
        Err(LookError::None(why)) if asked.is_empty() => Seen::failure(
            format!("there is none: {why}"),
            "start nats-server with `-js`, enable it for the account, or name its domain with NATS_JS_DOMAIN",
        ),
        Err(LookError::None(why)) => Seen::failure(
            format!("no domain `{asked}` answers: {why}"),
            "set NATS_JS_DOMAIN to one that this server has or reaches",
        ),
        Err(LookError::Silent(why)) => Seen::failure(
            why,
            "see whether its cluster has a leader, and whether this user may publish to $JS.API.INFO",
        ),
    }]
}
