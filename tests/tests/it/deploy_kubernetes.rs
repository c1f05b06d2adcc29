//! The manifests for Kubernetes: held against its schemas and against the host, and the ConfigMap's way of
//! changing a plugin. It must not need a cluster.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};
use tests::deployment::{output, repository, settings, shipped, shipped_path, yaml};
use tests::plugins::{plugin, successor};
use tests::{Agent, Counter, Host, Nats};
use xtask::deploy_checkers::{installed, python};

/// Every folder with a kustomization.
const BASE: &str = "kubernetes/base";
const OVERLAYS: [&str; 2] = ["kubernetes/overlays/single", "kubernetes/overlays/ha"];
const COMPONENTS: [&str; 4] = ["nats-login", "plugins-bucket", "plugins-configmap", "service-monitor"];

/// Of another maker, who brings its schema.
const FOREIGN: &str = "monitoring.coreos.com/v1";

/// What kustomize makes of a folder, as text; `None` where it is not installed.
fn built(folder: &Path) -> Result<Option<String>> {
    let Some(mut kubectl) = installed("kubectl") else { return Ok(None) };
    output(kubectl.arg("kustomize").arg(folder), "").map(Some)
}

fn validate(manifests: &str) -> Result<()> {
    let own: Vec<String> = yaml(manifests)?
        .into_iter()
        .filter(|one| one["apiVersion"] != FOREIGN)
        .map(|one| serde_json::to_string(&one))
        .collect::<Result<_, _>>()?;
    let mut file = NamedTempFile::with_suffix(".yaml")?;
    std::io::Write::write_all(file.as_file_mut(), own.join("\n---\n").as_bytes())?;
    output(python()?.args(["-m", "kubernetes_validate", "--strict", "--quiet"]).arg(file.path()), "").map(drop)
}

fn of_kind<'a>(manifests: &'a [Value], kind: &str) -> Result<&'a Value> {
    manifests.iter().find(|one| one["kind"] == kind).with_context(|| format!("there is no {kind}"))
}

/// The settings that a deployment's container gets, by name and value.
fn given(manifests: &[Value]) -> Result<Vec<(String, String)>> {
    let container = &of_kind(manifests, "Deployment")?["spec"]["template"]["spec"]["containers"][0];
    let map = of_kind(manifests, "ConfigMap")?;
    ensure!(container["envFrom"][0]["configMapRef"]["name"] == map["metadata"]["name"], "another map: {container}");
    let text = |value: &Value| value.as_str().map(str::to_owned).context("no text");
    let data = map["data"].as_object().context("data")?.iter().map(|(name, value)| Ok((name.clone(), text(value)?)));
    let env =
        container["env"].as_array().context("env")?.iter().map(|one| Ok((text(&one["name"])?, text(&one["value"])?)));
    data.chain(env).collect()
}

fn check(manifests: &[Value]) -> Result<()> {
    let known = settings()?;
    for (name, _) in given(manifests)? {
        ensure!(known.contains(&name), "{name} is no setting");
    }
    let labels = json!({"app.kubernetes.io/name": "agent-service"});
    let deployment = &of_kind(manifests, "Deployment")?["spec"];
    ensure!(deployment["selector"]["matchLabels"] == labels && deployment["template"]["metadata"]["labels"] == labels);
    ensure!(of_kind(manifests, "Service")?["spec"]["selector"] == labels);
    ensure!(of_kind(manifests, "PodDisruptionBudget")?["spec"]["selector"]["matchLabels"] == labels);
    // Kustomize can put its own labels into these, and then the host reaches nobody.
    let policy = &of_kind(manifests, "NetworkPolicy")?["spec"];
    ensure!(policy["podSelector"]["matchLabels"] == labels);
    let reached =
        policy["egress"].as_array().context("egress")?.iter().map(|rule| &rule["to"][0]["podSelector"]["matchLabels"]);
    let reached: Vec<&Value> = reached.collect();
    ensure!(reached == [&json!({"k8s-app": "kube-dns"}), &json!({"app.kubernetes.io/name": "nats"})], "{reached:?}");

    let pod = &deployment["template"]["spec"];
    let container = &pod["containers"][0];
    let port = container["ports"][0]["containerPort"].as_u64().context("a port")?;
    ensure!(
        given(manifests)?.contains(&("HTTP_ADDR".to_owned(), format!("0.0.0.0:{port}"))),
        "nobody listens on {port}"
    );
    for (probe, path) in [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
        ensure!(container[probe]["httpGet"] == json!({"path": path, "port": "http"}), "{probe}: {}", container[probe]);
    }
    // What the profile `restricted` asks for, and no writable root.
    ensure!(
        pod["securityContext"]["runAsNonRoot"] == true
            && pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    );
    let security =
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}});
    ensure!(container["securityContext"] == security);
    ensure!(
        container["resources"]["limits"]["memory"].is_string() && container["resources"]["requests"]["cpu"].is_string()
    );
    let volumes: BTreeSet<&str> =
        pod["volumes"].as_array().context("volumes")?.iter().filter_map(|one| one["name"].as_str()).collect();
    for mount in container["volumeMounts"].as_array().context("mounts")? {
        ensure!(mount["name"].as_str().is_some_and(|name| volumes.contains(name)), "{mount} mounts nothing");
    }
    Ok(())
}

#[test]
fn every_file_is_valid_and_named_by_its_kustomization() -> Result<()> {
    for folder in [BASE, OVERLAYS[0], OVERLAYS[1], "kubernetes/components/service-monitor"] {
        let kustomization = yaml(&shipped(&format!("{folder}/kustomization.yaml"))?)?;
        let resources = kustomization[0]["resources"].as_array().context("resources")?;
        let mut named: BTreeSet<String> = resources.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        for reference in resources.iter().chain(kustomization[0]["components"].as_array().into_iter().flatten()) {
            let path = shipped_path(folder).join(reference.as_str().context("a path")?);
            ensure!(path.exists(), "{folder} names {reference}, which is not there");
        }
        for entry in fs::read_dir(shipped_path(folder))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != "kustomization.yaml" {
                ensure!(named.remove(&name), "{folder}/{name} is named nowhere");
                validate(&shipped(&format!("{folder}/{name}"))?).with_context(|| format!("{folder}/{name}"))?;
            }
        }
    }
    Ok(())
}

#[test]
fn the_overlays_are_valid_and_fit_the_host() -> Result<()> {
    for overlay in OVERLAYS {
        let Some(text) = built(&shipped_path(overlay))? else { return Ok(()) };
        validate(&text)?;
        check(&yaml(&text)?).with_context(|| overlay.to_owned())?;
    }
    let Some(text) = built(&shipped_path(OVERLAYS[1]))? else { return Ok(()) };
    let manifests = yaml(&text)?;
    let given = given(&manifests)?;
    for (name, value) in
        [("STREAM_REPLICAS", "3"), ("PLUGIN_SOURCE", "nats"), ("NATS_NKEY", "/etc/agent-service/service.nk")]
    {
        ensure!(given.contains(&(name.to_owned(), value.to_owned())), "{name} is not {value}");
    }
    let deployment = &of_kind(&manifests, "Deployment")?["spec"];
    ensure!(deployment["replicas"].is_null(), "two say how many hosts there are");
    for metric in of_kind(&manifests, "HorizontalPodAutoscaler")?["spec"]["metrics"].as_array().context("metrics")? {
        let kind = metric["type"].as_str().context("type")?.to_lowercase();
        let name = metric[&kind]["metric"]["name"].as_str().context("name")?;
        ensure!(tests::metric_names::series().iter().any(|known| known.0 == name), "no host has a series {name}");
    }
    Ok(())
}

#[test]
fn every_component_fits_the_base() -> Result<()> {
    // Kustomize takes relative paths only.
    let dir = TempDir::with_prefix_in("overlay-", repository().join("target"))?;
    for component in COMPONENTS {
        let root = "../../deploy/kubernetes";
        let kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
            "resources": [format!("{root}/base")], "components": [format!("{root}/components/{component}")],
        });
        fs::write(dir.path().join("kustomization.yaml"), kustomization.to_string())?;
        let Some(text) = built(dir.path())? else { return Ok(()) };
        validate(&text)?;
        check(&yaml(&text)?).with_context(|| component.to_owned())?;
    }
    Ok(())
}

/// As the kubelet does it: files are links into a directory that is exchanged as a whole by a rename.
fn project(mount: &Path, round: u32, component: &Path) -> Result<()> {
    let content = mount.join(format!("..{round}"));
    fs::create_dir(&content)?;
    fs::copy(component, content.join("counter.wasm"))?;
    symlink(format!("..{round}"), mount.join("..data_tmp"))?;
    fs::rename(mount.join("..data_tmp"), mount.join("..data"))?;
    if round == 1 {
        symlink("..data/counter.wasm", mount.join("counter.wasm"))?;
    } else {
        fs::remove_dir_all(mount.join(format!("..{}", round - 1)))?;
    }
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_changes_in_a_config_map_is_taken_up() -> Result<()> {
    let nats = Nats::start().await?;
    let mount = TempDir::with_prefix("agent-service-config-map-")?;
    project(mount.path(), 1, &plugin("counter")?)?;
    let host = Host::builder(&nats)?.without_plugins().env("PLUGIN_DIR", mount.path().display());
    let host = host.start(&nats).await?;
    let counter = Counter::new();
    nats.ask(counter.increment(2)).await?.ok()?;

    project(mount.path(), 2, &successor("counter-refactored")?)?;

    host.logs(&["plugin swapped", "domain=counter", "activation=2"]).await?;
    ensure!(nats.ask(counter.increment(3)).await?.ok()?.version()? == 2);
    ensure!(nats.ask(counter.state()).await?.ok()?.state()["count"] == 5);
    ensure!(nats.try_ask(Agent::new().state(), tests::PATIENCE).await?.is_none(), "agents are served as well");
    Ok(())
}
