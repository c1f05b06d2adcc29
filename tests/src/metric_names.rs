//! The names under which a host's metrics are known outside, copied on purpose from what is promised:
//! dashboards and alerts of others go by them. It must not know what they measure.

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Read by way of `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// Every family with its labels.
pub const METRICS: &[(&str, Kind, &[&str])] = &[
    ("agent_service_commands_total", Kind::Counter, &["domain", "verb", "outcome"]),
    ("agent_service_queries_total", Kind::Counter, &["domain", "outcome"]),
    ("agent_service_request_seconds", Kind::Histogram, &["domain", "kind"]),
    ("agent_service_stage_seconds", Kind::Histogram, &["domain", "stage"]),
    ("agent_service_conflicts_total", Kind::Counter, &["domain"]),
    ("agent_service_overloaded_total", Kind::Counter, &["domain"]),
    ("agent_service_cache_hits_total", Kind::Counter, &["domain"]),
    ("agent_service_cache_misses_total", Kind::Counter, &["domain"]),
    ("agent_service_live_aggregates", Kind::Gauge, &["domain"]),
    ("agent_service_mailbox_depth", Kind::Gauge, &["domain"]),
    ("agent_service_replayed_events", Kind::Histogram, &["domain"]),
    ("agent_service_replays_total", Kind::Counter, &["domain"]),
    ("agent_service_snapshots_total", Kind::Counter, &["domain"]),
    ("agent_service_snapshot_events_behind", Kind::Gauge, &["domain"]),
    ("agent_service_last_snapshot_timestamp_seconds", Kind::Gauge, &["domain"]),
    ("agent_service_uncovered", Kind::Gauge, &["domain"]),
    ("agent_service_plugin_generation", Kind::Gauge, &["domain"]),
    ("agent_service_plugin_info", Kind::Gauge, &["domain", "plugin", "version", "digest"]),
    ("agent_service_gate_results_total", Kind::Counter, &["domain", "result"]),
    ("agent_service_swaps_total", Kind::Counter, &["domain"]),
    ("agent_service_rollbacks_total", Kind::Counter, &["domain"]),
    ("agent_service_plugin_failures_total", Kind::Counter, &["domain"]),
    ("agent_service_trials_total", Kind::Counter, &["domain"]),
    ("agent_service_trials_failed_total", Kind::Counter, &["domain"]),
    ("agent_service_parked_aggregates_requests_total", Kind::Counter, &["domain"]),
    ("agent_service_inbox_messages", Kind::Gauge, &["domain"]),
    ("agent_service_dead_messages", Kind::Gauge, &["domain"]),
    ("agent_service_abused_replies_total", Kind::Counter, &["domain"]),
    ("agent_service_nats_connected", Kind::Gauge, &[]),
    ("agent_service_nats_reconnects_total", Kind::Counter, &[]),
    ("agent_service_ready", Kind::Gauge, &[]),
    ("agent_service_traces_total", Kind::Counter, &["result"]),
    ("agent_service_build_info", Kind::Gauge, &["version"]),
    ("process_resident_memory_bytes", Kind::Gauge, &[]),
    ("process_cpu_seconds_total", Kind::Counter, &[]),
    ("process_start_time_seconds", Kind::Gauge, &[]),
    ("process_open_fds", Kind::Gauge, &[]),
];

/// Every name that may stand in an expression, with its labels; those of a histogram are its parts.
pub fn series() -> Vec<(String, Vec<&'static str>)> {
    let mut all = Vec::new();
    for (name, kind, labels) in METRICS {
        if *kind == Kind::Histogram {
            all.push((format!("{name}_bucket"), [labels, &["le"][..]].concat()));
            all.push((format!("{name}_sum"), labels.to_vec()));
            all.push((format!("{name}_count"), labels.to_vec()));
        } else {
            all.push(((*name).to_owned(), labels.to_vec()));
        }
    }
    all
}
