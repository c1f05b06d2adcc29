//! Hosts and their domains as a table for people. Knows nothing of how hosts are asked.

use std::fmt::Write;
use std::time::Duration;

use crate::cli::output::{ASIDE, BAD, HEADING, NAME, harmless};
use crate::cli::plugin::hosts::{Host, Live, Served, Target};
use crate::cli::plugin::short;
use crate::domain::Digest;

/// Refusals that are shown of a host; the others are counted.
const REFUSED_MAX: usize = 5;

/// A host after the other.
pub(super) fn in_words(hosts: &[Host]) -> String {
    let mut text = String::new();
    for host in hosts {
        if !text.is_empty() {
            text.push('\n');
        }
        let source = if host.takes_from_nats() { "plugins from NATS" } else { "plugins from its directory" };
        let _ = writeln!(
            text,
            "{HEADING}{}{HEADING:#}  {ASIDE}{}, {source}{ASIDE:#}",
            host.label(),
            harmless(&host.version)
        );
        domains(&mut text, host);
        refused(&mut text, host);
    }
    text
}

fn domains(text: &mut String, host: &Host) {
    let rows: Vec<[String; 5]> = host.domains.iter().map(row).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 5] = std::array::from_fn(width);
    for (served, [domain, version, digest, activation, since]) in host.domains.iter().zip(&rows) {
        let [d, v, h, a, _] = widths;
        let _ = writeln!(
            text,
            "  {NAME}{domain:d$}{NAME:#}  {version:v$}  {ASIDE}{digest:h$}{ASIDE:#}  {activation:a$}  {ASIDE}{since}{ASIDE:#}"
        );
        more(text, served, host);
    }
    if host.domains.is_empty() {
        let _ = writeln!(text, "  serves nothing");
    }
}

fn row(served: &Served) -> [String; 5] {
    let domain = harmless(&served.domain);
    match &served.live {
        Some(live) => [
            domain,
            harmless(&live.version),
            short(live.digest),
            format!("activation {}", live.activation),
            if live.since.is_empty() { String::new() } else { format!("since {}", harmless(&live.since)) },
        ],
        None => [domain, "not live".to_owned(), String::new(), String::new(), String::new()],
    }
}

/// What is to be known of a domain beside its live code.
fn more(text: &mut String, served: &Served, host: &Host) {
    if let Some(previous) = &served.previous {
        line(text, "previous", &format!("{}  {}", harmless(&previous.version), short(previous.digest)));
    }
    if let Some(wanted) = served.wanted.filter(|wanted| served.live.as_ref().map(target) != Some(*wanted)) {
        line(text, "wanted", &format!("{}  activation {}", short(wanted.digest), wanted.activation));
    }
    if let Some(live) = served.live.as_ref().filter(|live| live.probation_ms > 0 || live.failures > 0) {
        line(text, "probation", &probation(live));
    }
    if let Some(shadow) = &served.shadow {
        let told = format!(
            "{}  {}  {}: {} compared, {} differing, {} not compared",
            harmless(&shadow.version),
            short(shadow.digest),
            harmless(&shadow.state),
            shadow.compared,
            shadow.differing,
            shadow.not_compared
        );
        line(text, "shadow", &told);
    }
    for denied in host.denied.iter().filter(|denied| denied.domain == served.domain) {
        line(text, "denied", &format!("{}  {}", short(denied.digest), harmless(&denied.why)));
    }
}

fn target(live: &Live) -> Target {
    Target { digest: live.digest, activation: live.activation }
}

fn probation(live: &Live) -> String {
    let failures = match live.failures {
        1 => "1 failure".to_owned(),
        more => format!("{more} failures"),
    };
    match live.probation_ms {
        0 => format!("over, {failures}"),
        // To the second: nobody acts within less.
        left => format!("{} left, {failures}", humantime::format_duration(Duration::from_secs(left.div_ceil(1_000)))),
    }
}

fn line(text: &mut String, what: &str, told: &str) {
    let _ = writeln!(text, "      {ASIDE}{what:9}{ASIDE:#}  {told}");
}

fn refused(text: &mut String, host: &Host) {
    for refused in host.refused.iter().take(REFUSED_MAX) {
        let of = [refused.domain.as_deref(), refused.version.as_deref()];
        let about: Vec<String> = of.into_iter().flatten().map(harmless).collect();
        let digest = refused.digest.map(|digest: Digest| short(digest)).unwrap_or_default();
        let parts = [harmless(&refused.origin), about.join(" "), digest, harmless(&refused.at)];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let _ = writeln!(text, "  {BAD}refused{BAD:#}  {}\n      {}", parts.join("  "), harmless(&refused.why));
    }
    if let Some(more) = host.refused.len().checked_sub(REFUSED_MAX).filter(|more| *more > 0) {
        let _ = writeln!(text, "  and {more} more refused, all of them with --output json");
    }
    let orphans = host.denied.iter().filter(|denied| !host.domains.iter().any(|served| served.domain == denied.domain));
    for denied in orphans {
        let _ = writeln!(
            text,
            "  {BAD}denied{BAD:#}   {}  {}  {}",
            harmless(&denied.domain),
            short(denied.digest),
            harmless(&denied.why)
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(documents: &[serde_json::Value]) -> String {
        let hosts: Vec<Host> = documents.iter().map(|document| Host::read(document).expect("a host")).collect();
        anstream::adapter::strip_str(&in_words(&hosts)).to_string()
    }

    #[test]
    fn hosts_are_shown_with_all_that_is_to_be_known() {
        let (a, b, c) = ("aa".repeat(32), "bb".repeat(32), "cc".repeat(32));
        let agent = json!({
            "domain": "agent",
            "live": {
                "version": "1.2.0", "digest": b, "state_schema": 1, "activation": 12,
                "since": "2026-11-24T06:00:00.000Z", "origin": "fleet", "failures": 1, "probation_ms": 23_400,
                "report": {"verdict": "same"},
            },
            "previous": {"version": "1.1.0", "digest": a},
            "wanted": {"digest": c, "activation": 13},
            "shadow": {
                "digest": c, "version": "1.3.0", "state": "running", "compared": 7, "differing": 1,
                "not_compared": 2, "differences": [],
            },
        });
        let orders = json!({
            "domain": "orders",
            "live": {"version": "0.1.0-rc.1", "digest": a, "activation": 1, "since": "2026-11-24T05:00:00.000Z"},
            "previous": null, "wanted": {"digest": a, "activation": 1}, "shadow": null,
        });
        let refusal = json!({
            "origin": "agent.wasm", "domain": "agent", "version": "1.3.0", "digest": c,
            "why": "the state of 2 recorded aggregates differs", "report": null, "at": "2026-11-24T06:01:00.000Z",
        });
        let rubbish =
            json!({"origin": "x.wasm", "why": "it is no WebAssembly component", "at": "2026-11-24T06:01:00.000Z"});
        let first = json!({
            "host": "H1", "name": "edge-1", "source": "nats", "version": "0.1.0", "domains": [agent, orders],
            "refused": [refusal, rubbish], "denied": [{"domain": "agent", "digest": a, "why": "4 failures in probation"}],
        });
        let second = json!({
            "host": "H2", "name": "edge-2", "source": "dir", "version": "0.1.0", "domains": [],
            "denied": [{"domain": "agent", "digest": a, "why": "it \u{1b}[2Jtrapped"}],
        });
        insta::assert_snapshot!(shown(&[first, second]), @r#"
        edge-1 (H1)  0.1.0, plugins from NATS
          agent   1.2.0       bbbbbbbbbbbb  activation 12  since 2026-11-24T06:00:00.000Z
              previous   1.1.0  aaaaaaaaaaaa
              wanted     cccccccccccc  activation 13
              probation  24s left, 1 failure
              shadow     1.3.0  cccccccccccc  running: 7 compared, 1 differing, 2 not compared
              denied     aaaaaaaaaaaa  4 failures in probation
          orders  0.1.0-rc.1  aaaaaaaaaaaa  activation 1   since 2026-11-24T05:00:00.000Z
          refused  agent.wasm  agent 1.3.0  cccccccccccc  2026-11-24T06:01:00.000Z
              the state of 2 recorded aggregates differs
          refused  x.wasm  2026-11-24T06:01:00.000Z
              it is no WebAssembly component

        edge-2 (H2)  0.1.0, plugins from its directory
          serves nothing
          denied   agent  aaaaaaaaaaaa  it �[2Jtrapped
        "#);
    }

    #[test]
    fn of_many_refusals_the_first_are_shown() {
        let refused: Vec<_> = (0..7).map(|n| json!({"origin": format!("{n}.wasm"), "why": "no"})).collect();
        let text = shown(&[json!({"host": "H", "name": "h", "source": "dir", "refused": refused})]);
        assert!(text.contains("4.wasm") && !text.contains("5.wasm") && text.contains("and 2 more refused"), "{text}");
    }
}
