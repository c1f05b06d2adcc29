//! Alerts and dashboard: that they can be read, and ask for nothing that is not there. It must not test
//! what the metrics say.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tests::deployment::{output, shipped, shipped_path, shipped_yaml};
use tests::metric_names::series;
use tests::plugins::own_file;
use xtask::deploy_checkers::{installed, python};

/// What Prometheus itself adds: a series per target, and labels.
const OF_PROMETHEUS: (&str, [&str; 2]) = ("up", ["job", "instance"]);

/// Series that an expression selects, with the labels it names.
fn selected(expressions: &[String]) -> Result<Vec<(String, BTreeSet<String>)>> {
    let parsed = output(python()?.arg(own_file("deploy/promql_series.py")), &json!(expressions).to_string())?;
    let parsed: Vec<Vec<Value>> = serde_json::from_str(&parsed)?;
    ensure!(parsed.len() == expressions.len());
    let one = |selector: Value| {
        let name = selector["name"].as_str().context("a selector without a name")?.to_owned();
        let labels = selector["labels"].as_array().context("labels")?.iter();
        Ok((name, labels.filter_map(Value::as_str).map(str::to_owned).collect()))
    };
    parsed.into_iter().flatten().map(one).collect()
}

fn ensure_known(expressions: &[String]) -> Result<BTreeSet<String>> {
    let known: BTreeMap<String, Vec<&str>> = series().into_iter().collect();
    let mut names = BTreeSet::new();
    for (name, labels) in selected(expressions)? {
        let own = if name == OF_PROMETHEUS.0 { Some(&Vec::new()) } else { known.get(&name) };
        let own = own.with_context(|| format!("no host has a series `{name}`"))?;
        for label in labels {
            let there = own.contains(&label.as_str()) || OF_PROMETHEUS.1.contains(&label.as_str());
            ensure!(there, "`{name}` has no label `{label}`");
        }
        names.insert(name);
    }
    Ok(names)
}

fn alerts() -> Result<Vec<Value>> {
    let file = shipped_yaml("prometheus/alerts.yml")?;
    let groups = file["groups"].as_array().context("groups")?;
    Ok(groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect())
}

/// The dashboard's expressions with its variables filled in.
fn dashboard_expressions(dashboard: &Value) -> Result<Vec<String>> {
    let panels = dashboard["panels"].as_array().context("panels")?;
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let texts = targets.map(|target| target["expr"].as_str().context("a target without expr"));
    let annotations = dashboard["annotations"]["list"].as_array().context("annotations")?;
    let texts = texts.chain(annotations.iter().map(|one| one["expr"].as_str().context("an annotation without expr")));
    texts.map(|text| Ok(text?.replace("$__rate_interval", "1m").replace("$domain", ".*"))).collect()
}

#[test]
fn alerts_ask_for_series_that_hosts_have_and_say_what_to_do() -> Result<()> {
    let alerts = alerts()?;
    ensure!(!alerts.is_empty(), "there are no alerts");
    let mut expressions = Vec::new();
    for alert in &alerts {
        let name = alert["alert"].as_str().context("an alert without a name")?;
        let severity = alert["labels"]["severity"].as_str();
        ensure!(matches!(severity, Some("page" | "ticket")), "{name} has the severity {severity:?}");
        for text in ["summary", "description"] {
            ensure!(alert["annotations"][text].as_str().is_some_and(|text| !text.is_empty()), "{name} has no {text}");
        }
        expressions.push(alert["expr"].as_str().with_context(|| format!("{name} has no expr"))?.to_owned());
    }
    ensure_known(&expressions).map(drop)
}

#[test]
fn an_expression_that_asks_for_what_is_not_there_is_found() -> Result<()> {
    let of = |text: &str| ensure_known(&[text.to_owned()]).unwrap_err().to_string();
    ensure!(of("rate(agent_service_command_total[5m])").contains("agent_service_command_total"));
    ensure!(of("agent_service_ready{verb=\"x\"}").contains("no label `verb`"));
    ensure!(of("agent_service_request_seconds > 1").contains("agent_service_request_seconds"));
    ensure!(of("sum by (").contains("not PromQL"));
    Ok(())
}

#[test]
fn the_alerts_fire_when_they_should() -> Result<()> {
    let Some(mut promtool) = installed("promtool") else { return Ok(()) };
    output(promtool.args(["test", "rules"]).arg(shipped_path("prometheus/alerts_test.yml")), "")?;
    let mut promtool = Command::new(promtool.get_program());
    output(promtool.args(["check", "config"]).arg(shipped_path("prometheus/prometheus.yml")), "").map(drop)
}

#[test]
fn the_dashboard_draws_every_metric_of_a_host_and_nothing_else() -> Result<()> {
    let dashboard: Value = serde_json::from_str(&shipped("grafana/dashboard.json")?)?;
    let drawn = ensure_known(&dashboard_expressions(&dashboard)?)?;
    let of =
        |name: &str| name.trim_end_matches("_bucket").trim_end_matches("_sum").trim_end_matches("_count").to_owned();
    let drawn: BTreeSet<String> = drawn.iter().map(|name| of(name)).collect();
    let all: BTreeSet<String> = series().iter().map(|(name, _)| of(name)).collect();
    let missing: Vec<&String> = all.difference(&drawn).collect();
    // These say which process it was, in tables of one's own and in the alerts.
    ensure!(missing == ["agent_service_build_info", "process_start_time_seconds"], "not drawn: {missing:?}");

    let ids: Vec<i64> =
        dashboard["panels"].as_array().context("panels")?.iter().filter_map(|one| one["id"].as_i64()).collect();
    ensure!(ids.iter().collect::<BTreeSet<_>>().len() == ids.len(), "two panels have one id");
    Ok(())
}

#[test]
fn grafana_finds_data_source_and_dashboard_where_compose_puts_them() -> Result<()> {
    let source = &shipped_yaml("grafana/provisioning/datasources/prometheus.yaml")?["datasources"][0];
    let dashboard: Value = serde_json::from_str(&shipped("grafana/dashboard.json")?)?;
    let variable = &dashboard["templating"]["list"][0];
    ensure!(variable["current"]["value"] == source["uid"], "the dashboard names another data source: {variable}");

    let compose = shipped_yaml("container/compose.yaml")?;
    let folder =
        shipped_yaml("grafana/provisioning/dashboards/agent-service.yaml")?["providers"][0]["options"]["path"].clone();
    let mounts = compose["services"]["grafana"]["volumes"].as_array().context("volumes")?;
    let target = format!("../grafana/dashboard.json:{}/dashboard.json:ro", folder.as_str().context("path")?);
    ensure!(mounts.contains(&json!(target)), "{target} is not among {mounts:?}");
    Ok(())
}
