//! The page of metrics. Every name here is a promise to dashboards and alerts; no label bears what a
//! client chose.

use std::sync::Arc;

use super::health::Health;
use super::process;
use super::watched::Watched;
use crate::domain::Digest;
use crate::metrics::text::{Kind, Page};
use crate::metrics::{Histogram, Meter, Metrics, Reading, Stage};
use crate::name::Name;

const NANOS_PER_SECOND: f64 = 1e9;
const MILLIS_PER_SECOND: f64 = 1e3;

/// The metrics as they are now.
pub(super) async fn page(health: &Health) -> String {
    let mut page = Page::default();
    let counted = health.metrics();
    let watched = health.domains();
    // All at once: one that is stuck costs no more time than one.
    let behind = futures::future::join_all(watched.iter().map(|watched| watched.shards.events_behind())).await;
    requests(&mut page, &counted);
    counters(&mut page, &counted);
    gauges(&mut page, &counted, &watched, &behind);
    plugins(&mut page, &watched);
    host(&mut page, health);
    process::write(&mut page);
    page.into_text()
}

type Counted = [(Name, Arc<Metrics>)];

fn requests(page: &mut Page, counted: &Counted) {
    page.family(
        "agent_service_commands_total",
        Kind::Counter,
        "Commands answered, by verb and outcome; those of the durable lane once for each try. A verb that the domain does not know is `other`.",
    );
    for (domain, metrics) in counted {
        for (verb, outcome, count) in metrics.commands() {
            page.sample(&[("domain", domain.as_str()), ("verb", verb), ("outcome", outcome)], count);
        }
    }
    page.family("agent_service_queries_total", Kind::Counter, "Queries answered, by outcome.");
    for (domain, metrics) in counted {
        for (outcome, count) in metrics.queries() {
            page.sample(&[("domain", domain.as_str()), ("outcome", outcome)], count);
        }
    }
    page.family(
        "agent_service_request_seconds",
        Kind::Histogram,
        "From the arrival of a command or query to its reply; of the durable lane, from the beginning of a try.",
    );
    for (domain, metrics) in counted {
        for (kind, of) in [("command", (|m| &m.commands) as fn(&Meter) -> &Histogram), ("query", |m| &m.queries)] {
            let reading = Reading::of(metrics.meters().map(of));
            page.histogram(&[("domain", domain.as_str()), ("kind", kind)], &reading, NANOS_PER_SECOND);
        }
    }
    page.family(
        "agent_service_stage_seconds",
        Kind::Histogram,
        "Parts of a request's way: queue (waiting for its shard and aggregate), load (bringing the aggregate into memory, where it is not), decide and evolve (the plugin), append (JetStream). A command that is decided again passes decide and append again.",
    );
    for (domain, metrics) in counted {
        for stage in Stage::ALL {
            let reading = Reading::of(metrics.meters().map(|meter| meter.stage(stage)));
            page.histogram(&[("domain", domain.as_str()), ("stage", stage.as_str())], &reading, NANOS_PER_SECOND);
        }
    }
    page.family(
        "agent_service_replayed_events",
        Kind::Histogram,
        "Events applied to bring an aggregate into memory, beyond its snapshot where there was one.",
    );
    for (domain, metrics) in counted {
        let reading = Reading::of(metrics.meters().map(|meter| &meter.replayed));
        page.histogram(&[("domain", domain.as_str())], &reading, 1.0);
    }
}

/// A counter's name, what it counts, and where that is.
type CounterOf = (&'static str, &'static str, fn(&Metrics) -> u64);

const COUNTERS: &[CounterOf] = &[
    ("agent_service_conflicts_total", "Appends that another writer was ahead of; each was decided again.", |m| {
        m.conflicts.get()
    }),
    ("agent_service_overloaded_total", "Requests refused since the host had as many as it can hold.", |m| {
        m.failed(crate::message::Code::Overloaded)
    }),
    ("agent_service_cache_hits_total", "Look-ups of an aggregate that found it in memory.", |m| m.cache_hits.get()),
    ("agent_service_cache_misses_total", "Look-ups of an aggregate that had to load it, or to make it.", |m| {
        m.cache_misses.get()
    }),
    ("agent_service_replays_total", "Aggregates rebuilt from their events alone.", |m| m.replays.get()),
    ("agent_service_snapshots_total", "Snapshots saved.", |m| m.snapshots.get()),
    ("agent_service_swaps_total", "Times that other code went live in place of live code.", |m| m.swaps.get()),
    ("agent_service_rollbacks_total", "Times that the code before was put back.", |m| m.roll_backs.get()),
    (
        "agent_service_plugin_failures_total",
        "Calls that live code failed: traps, deadlines, memory, answers against its contract.",
        |m| m.plugin_failures.get(),
    ),
    ("agent_service_trials_total", "Commands whose events were applied to a copy before they were stored.", |m| {
        m.trials.get()
    }),
    (
        "agent_service_trials_failed_total",
        "Those of them whose events could not be applied, and were not stored.",
        |m| m.trials_failed.get(),
    ),
    (
        "agent_service_parked_aggregates_requests_total",
        "Requests to aggregates that are parked, answered without loading them.",
        |m| m.parked.get(),
    ),
    (
        "agent_service_abused_replies_total",
        "Requests dropped since their reply would have been more than a reply.",
        |m| m.abused_replies.get(),
    ),
];

fn counters(page: &mut Page, counted: &Counted) {
    for (name, help, of) in COUNTERS {
        page.family(name, Kind::Counter, help);
        for (domain, metrics) in counted {
            page.sample(&[("domain", domain.as_str())], of(metrics));
        }
    }
    page.family(
        "agent_service_gate_results_total",
        Kind::Counter,
        "Code that was to go live: accepted by the gate, or refused by it or before it.",
    );
    for (domain, metrics) in counted {
        for (result, count) in [("accepted", &metrics.gate_accepted), ("refused", &metrics.plugins_refused)] {
            page.sample(&[("domain", domain.as_str()), ("result", result)], count.get());
        }
    }
}

fn gauges(page: &mut Page, counted: &Counted, watched: &[Arc<Watched>], behind: &[Option<u64>]) {
    let mut gauge = |name, help, of: &dyn Fn(usize, &Watched) -> Option<u64>| {
        page.family(name, Kind::Gauge, help);
        for (place, watched) in watched.iter().enumerate() {
            if let Some(value) = of(place, watched) {
                page.sample(&[("domain", watched.domain.as_str())], value);
            }
        }
    };
    gauge("agent_service_live_aggregates", "Aggregates in memory.", &|_, watched| Some(watched.shards.live()));
    gauge(
        "agent_service_mailbox_depth",
        "Requests that wait, for their shard or for their aggregate.",
        &|_, watched| Some(watched.shards.waiting()),
    );
    gauge(
        "agent_service_snapshot_events_behind",
        "The most events that an aggregate in memory has and its snapshot has not.",
        &|place, _| behind.get(place).copied().flatten(),
    );
    gauge(
        "agent_service_uncovered",
        "Aggregates that no snapshot covers though their events will soon leave the stream.",
        &|_, watched| Some(watched.metrics.expiring_uncovered.get()),
    );
    gauge(
        "agent_service_inbox_messages",
        "Commands of the durable lane that are not yet done, over all hosts.",
        &|_, watched| watched.depth().inbox,
    );
    gauge(
        "agent_service_dead_messages",
        "Commands of the durable lane that were given up on, over all hosts.",
        &|_, watched| watched.depth().dead,
    );
    page.family(
        "agent_service_last_snapshot_timestamp_seconds",
        Kind::Gauge,
        "When this host last saved a snapshot, since the Unix epoch.",
    );
    for (domain, metrics) in counted {
        let at = metrics.last_snapshot_ms.get();
        if at > 0 {
            page.sample(&[("domain", domain.as_str())], at as f64 / MILLIS_PER_SECOND);
        }
    }
}

fn plugins(page: &mut Page, watched: &[Arc<Watched>]) {
    page.family(
        "agent_service_plugin_generation",
        Kind::Gauge,
        "The activation number of the code that is live; it grows with every swap and roll back.",
    );
    for watched in watched {
        page.sample(&[("domain", watched.domain.as_str())], watched.live().number());
    }
    page.family("agent_service_plugin_info", Kind::Gauge, "1 for the code that is live.");
    for watched in watched {
        let live = watched.live();
        let (name, rest) = live.author.plugin.split_once('/').unwrap_or((&live.author.plugin, ""));
        let version = rest.rsplit_once(';').map_or(rest, |(version, _)| version);
        let Digest(digest) = live.digest();
        let labels = [
            ("domain", watched.domain.as_str()),
            ("plugin", name),
            ("version", version),
            ("digest", &hex::encode(digest)),
        ];
        page.sample(&labels, 1);
    }
}

fn host(page: &mut Page, health: &Health) {
    page.family("agent_service_nats_connected", Kind::Gauge, "Whether the host's connection to NATS stands.");
    page.sample(&[], u8::from(health.is_connected()));
    page.family("agent_service_nats_reconnects_total", Kind::Counter, "Times that this connection came back.");
    page.sample(&[], health.reconnects());
    page.family("agent_service_ready", Kind::Gauge, "Whether the host is ready, as /readyz tells it.");
    page.sample(&[], u8::from(health.readiness().ready));
    page.family(
        "agent_service_traces_total",
        Kind::Counter,
        "Traces of commands: exported, dropped since too many waited for their export, or failed since the endpoint refused them.",
    );
    let traces = health.trace_counts();
    for (result, count) in [("exported", &traces.exported), ("dropped", &traces.dropped), ("failed", &traces.failed)] {
        page.sample(&[("result", result)], count.get());
    }
    page.family("agent_service_build_info", Kind::Gauge, "1 for the version of the host.");
    page.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
}
