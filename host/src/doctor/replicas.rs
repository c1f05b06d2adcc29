//! `replicas`: how many servers keep each stream, and whether they do.

use serde_json::Value;

use super::facts::{Kept, Site, number, text};
use super::finding::Seen;

/// Messages that a replica may be behind at a moment of load.
const LAG_MAX: u64 = 1_000;

pub(super) fn replicas(site: &Site<'_>, kept: &Kept) -> Vec<Seen> {
    let cluster = site.reached().ok().and_then(|reached| reached.client.server_info().cluster);
    let mut seen: Vec<Seen> = Vec::new();
    for (name, info) in kept.standing() {
        let found = judge(info, cluster.as_deref());
        seen.extend(found.into_iter().map(|seen| seen.about(name)));
    }
    if seen.is_empty() {
        seen.push(Seen::skipped("there is no stream yet"));
    }
    seen
}

fn judge(info: &Value, cluster: Option<&str>) -> Vec<Seen> {
    let wanted = number(info, "/config/num_replicas").max(1);
    let mut seen = Vec::new();
    if let Some(cluster) = cluster {
        if wanted == 1 {
            seen.push(Seen::warning(
                format!("one server of the cluster {cluster} keeps it alone: with that one it is away, or lost"),
                "`nats stream edit --replicas 3`, and set STREAM_REPLICAS=3 for streams that are yet to be made",
            ));
        }
        if text(info, "/cluster/leader").is_empty() {
            seen.push(Seen::failure(
                "it has no leader, and takes and tells nothing",
                "bring back the servers that keep it: more than half of them must be there",
            ));
        }
    }
    for replica in info.pointer("/cluster/replicas").and_then(Value::as_array).into_iter().flatten() {
        let (name, lag) = (text(replica, "/name"), number(replica, "/lag"));
        if replica["offline"] == true {
            seen.push(Seen::warning(format!("its replica on {name} is offline"), "bring that server back"));
        } else if lag > LAG_MAX || replica["current"] != true {
            let text = format!("its replica on {name} is not current, {lag} operations behind");
            seen.push(Seen::warning(
                text,
                "look at that server's disk and network; the loss of another one now stops writing",
            ));
        }
    }
    if seen.is_empty() {
        seen.push(Seen::ok(match wanted {
            1 => "one server keeps it, and there is one".to_owned(),
            wanted => format!("{wanted} servers keep it, and all are current"),
        }));
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn texts(info: &Value, cluster: Option<&str>) -> Vec<String> {
        judge(info, cluster).into_iter().map(|seen| format!("{} {}", seen.grade.word(), seen.text)).collect()
    }

    #[test]
    fn a_replica_that_is_away_or_behind_is_named() {
        let info = json!({"config": {"num_replicas": 3}, "cluster": {"leader": "a", "replicas": [
            {"name": "b", "current": true}, {"name": "c", "current": false, "lag": 7},
        ]}});
        assert_eq!(texts(&info, Some("x")), ["warning its replica on c is not current, 7 operations behind"]);
        let info = json!({"config": {"num_replicas": 3}, "cluster": {"replicas": [
            {"name": "b", "current": false, "offline": true},
        ]}});
        assert_eq!(
            texts(&info, Some("x")),
            ["failure it has no leader, and takes and tells nothing", "warning its replica on b is offline"]
        );
    }
}
