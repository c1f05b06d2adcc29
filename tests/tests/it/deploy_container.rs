//! The image and the Compose file: linted, and held against the repository they are built from. It must
//! not need a container engine.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use async_nats::ConnectOptions;
use serde_json::Value;
use tempfile::TempDir;
use tests::deployment::{output, repository, settings, shipped, shipped_path, shipped_yaml};
use tests::sites::fit;
use tests::{Agent, Host, Nats};
use xtask::deploy_checkers::hadolint;
use xtask::nats_server::NatsServer;

const DOCKERFILE: &str = "container/Dockerfile";
const COMPOSE: &str = "container/compose.yaml";

/// The instructions of a Dockerfile, each on one line, stage by stage.
fn stages(text: &str) -> Vec<Vec<String>> {
    let text = text.replace("\\\n", " ");
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut stages: Vec<Vec<String>> = Vec::new();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with("FROM ") {
            stages.push(Vec::new());
        }
        if let Some(stage) = stages.last_mut() {
            stage.push(line);
        }
    }
    stages
}

fn arguments<'a>(stage: &'a [String], instruction: &str) -> Vec<&'a str> {
    stage.iter().filter_map(|line| line.strip_prefix(instruction)?.strip_prefix(' ')).collect()
}

#[test]
fn the_linter_has_nothing_against_the_image() -> Result<()> {
    output(hadolint()?.arg("--failure-threshold=style").arg(shipped_path(DOCKERFILE)), "").map(drop)
}

#[test]
fn what_is_copied_into_the_image_is_a_whole_workspace() -> Result<()> {
    let stages = stages(&shipped(DOCKERFILE)?);
    ensure!(stages.len() == 2, "{} stages", stages.len());
    let clean = TempDir::with_prefix("agent-service-image-")?;
    let ignored = shipped(&format!("{DOCKERFILE}.dockerignore"))?;
    let ignored: BTreeSet<&str> = ignored.lines().filter(|line| !line.starts_with('#')).collect();
    for copied in arguments(&stages[0], "COPY") {
        let mut paths: Vec<&str> = copied.split(' ').collect();
        let to = clean.path().join(paths.pop().context("a target")?);
        for path in paths {
            ensure!(!ignored.contains(path), "{path} is copied and ignored");
            let from = repository().join(path);
            let to = if copied.ends_with("./") { to.join(path) } else { to.clone() };
            copy(&from, &to).with_context(|| format!("cannot copy {path}"))?;
        }
    }

    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata.args(["metadata", "--no-deps", "--locked", "--offline", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&output(metadata.current_dir(clean.path()), "")?)?;
    let packages = metadata["packages"].as_array().context("packages")?;
    let targets = packages.iter().filter_map(|package| package["targets"].as_array()).flatten();
    let sources: Vec<&str> = targets.filter_map(|target| target["src_path"].as_str()).collect();
    ensure!(!sources.is_empty(), "nothing is built");
    for source in sources {
        ensure!(Path::new(source).is_file(), "{source} is not copied");
    }
    // `cargo xtask` is an alias.
    let alias = fs::read_to_string(clean.path().join(".cargo/config.toml"))?;
    ensure!(alias.contains("xtask ="), "{alias}");
    Ok(())
}

#[test]
fn the_image_is_built_as_the_readme_says_and_runs_without_shell_and_root() -> Result<()> {
    let stages = stages(&shipped(DOCKERFILE)?);
    let readme = fs::read_to_string(repository().join("README.md"))?;
    let build = arguments(&stages[0], "RUN").join("\n");
    for text in ["cargo xtask build", "target/dist/plugins", "target/dist/agent-service"] {
        ensure!(readme.contains(text) && build.contains(text), "`{text}` is not in both, README and image");
    }

    let last = &stages[1];
    ensure!(arguments(last, "RUN").is_empty(), "the last stage has no shell to run anything");
    let user = arguments(last, "USER").join(" ");
    ensure!(
        !user.is_empty() && user.chars().all(|c| c.is_ascii_digit() || c == ':') && !user.starts_with('0'),
        "{user}"
    );
    for instruction in ["ENTRYPOINT", "HEALTHCHECK"] {
        let given = arguments(last, instruction).join(" ");
        let (_, command) = given.split_once('[').with_context(|| format!("{instruction} {given} needs a shell"))?;
        ensure!(command.starts_with("\"/usr/bin/agent-service\""), "{instruction} {given}");
    }
    let known = settings()?;
    let environment = arguments(last, "ENV").join(" ");
    for (name, _) in environment.split(' ').filter_map(|pair| pair.split_once('=')) {
        ensure!(known.contains(name), "{name} is no setting");
    }
    Ok(())
}

#[test]
fn compose_names_files_that_are_there_settings_that_are_known_and_images_by_version() -> Result<()> {
    let compose = shipped_yaml(COMPOSE)?;
    let services = compose["services"].as_object().context("services")?;
    let volumes: BTreeSet<&String> = compose["volumes"].as_object().context("volumes")?.keys().collect();
    let own_folder = shipped_path("container");
    for (name, service) in services {
        for mount in service["volumes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let source = mount.split(':').next().unwrap_or_default();
            let there = if source.starts_with('.') {
                own_folder.join(source).exists()
            } else {
                volumes.contains(&source.to_owned())
            };
            ensure!(there, "{name}: {source} is not there");
        }
        for port in service["ports"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            ensure!(port.starts_with("127.0.0.1:"), "{name}: {port} is open to others");
        }
        let image = service["image"].as_str().with_context(|| format!("{name} has no image"))?;
        let version = image.split_once(':').map(|(_, version)| version);
        ensure!(service["build"].is_object() || version.is_some_and(|version| version != "latest"), "{image}");
    }
    let build = &services["agent-service"]["build"];
    let context = own_folder.join(build["context"].as_str().context("context")?);
    ensure!(context.join(build["dockerfile"].as_str().context("dockerfile")?).is_file(), "{build}");
    let known = settings()?;
    for name in services["agent-service"]["environment"].as_object().context("environment")?.keys() {
        ensure!(known.contains(name), "{name} is no setting");
    }
    Ok(())
}

#[tokio::test]
async fn the_server_of_compose_keeps_what_it_acknowledged() -> Result<()> {
    let store = TempDir::with_prefix("agent-service-compose-")?;
    let path = store.path().display().to_string();
    let fitted = [("/var/lib/nats/jetstream", path.as_str()), ("http: 0.0.0.0:8222", "")];
    let conf = fit(&shipped("container/nats.conf")?, &fitted)?;
    ensure!(conf.contains("\n  sync_interval: always\n"), "acknowledged events can be lost");
    let server = NatsServer::builder().without_jetstream().settings(&conf).start()?;
    let nats = Nats::connect(server, ConnectOptions::new()).await?;
    let _host = Host::start(&nats).await?;
    nats.ask(Agent::new().deploy()).await?.ok().map(drop)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            if entry.file_name() != "target" {
                copy(&entry.path(), &to.join(entry.file_name()))?;
            }
        }
        return Ok(());
    }
    fs::copy(from, to).map(drop).with_context(|| format!("from {}", from.display()))
}
