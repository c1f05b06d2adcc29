//! Signed plugins: the command line signs and judges them, and a host serves only what a trusted
//! key has signed. It must not test what a plugin does.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::cli::Output;
use tests::{Agent, Cli, Host, Nats, plugins};

/// The settings' own name.
const TRUSTED: &str = "PLUGIN_TRUSTED_KEYS";

/// A directory with a copy of the agent plugin and a key.
struct Signing {
    dir: TempDir,
    key: KeyPair,
}

impl Signing {
    fn new() -> Result<Self> {
        let dir = TempDir::with_prefix("agent-service-signing-")?;
        let signing = Self { dir, key: KeyPair::new_user() };
        std::fs::copy(plugins::plugin("agent")?, signing.plugin())?;
        std::fs::write(signing.path("key.seed"), signing.key.seed()?)?;
        Ok(signing)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn plugin(&self) -> PathBuf {
        self.path("agent.wasm")
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        Ok(std::fs::read(self.plugin())?)
    }

    fn public(&self) -> String {
        self.key.public_key()
    }

    /// Signs the plugin in place with the own key.
    async fn sign(&self) -> Result<Output> {
        let (plugin, seed) = (self.plugin(), self.path("key.seed"));
        cli().run(&["plugin", "sign", text(&plugin)?, "--key", text(&seed)?]).await
    }

    /// Signs it with another key as well, and says which.
    async fn sign_with_another(&self) -> Result<String> {
        let key = KeyPair::new_account();
        let seed = self.path("other.seed");
        std::fs::write(&seed, key.seed()?)?;
        cli().run(&["plugin", "sign", text(&self.plugin())?, "--key", text(&seed)?]).await?.exit(0)?;
        Ok(key.public_key())
    }

    /// Changes one byte of the code, leaving the signature as it is.
    fn tamper(&self) -> Result<()> {
        let mut bytes = self.bytes()?;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        Ok(std::fs::write(self.plugin(), bytes)?)
    }

    /// Changes one byte of the signature, leaving code that runs.
    fn tamper_behind_the_code(&self) -> Result<()> {
        let mut bytes = self.bytes()?;
        *bytes.last_mut().context("an empty file")? ^= 1;
        Ok(std::fs::write(self.plugin(), bytes)?)
    }

    async fn verify(&self, trusted: &str) -> Result<Output> {
        cli().env(TRUSTED, trusted).run(&["plugin", "verify", text(&self.plugin())?]).await
    }
}

/// Signing asks no server.
fn cli() -> Cli {
    Cli::for_url("nats://127.0.0.1:1")
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path in UTF-8")
}

/// The verdict's reason, after checking that the exit code says the same.
fn refusal(output: Output) -> Result<(Value, String)> {
    let document = output.exit(2)?.json()?;
    ensure!(document["accepted"] == false, "{document}");
    let reason = document["reason"].as_str().context("a reason")?.to_owned();
    Ok((document, reason))
}

#[tokio::test]
async fn a_signed_plugin_is_verified_with_the_key_that_signed_it() -> Result<()> {
    let signing = Signing::new()?;
    let unsigned = signing.bytes()?;

    let signed = signing.sign().await?.exit(0)?.json()?;

    ensure!(signed["signer"] == signing.public(), "{signed}");
    ensure!(signing.bytes()?.starts_with(&unsigned), "signing changed the component itself");
    let document = signing.verify(&signing.public()).await?.exit(0)?.json()?;
    ensure!(document["accepted"] == true && document["reason"].is_null(), "{document}");
    ensure!(document["signers"] == json!([{"key": signing.public(), "holds": true, "trusted": true}]), "{document}");
    ensure!(document["digest"] == signed["digest"], "{document}");
    Ok(())
}

#[tokio::test]
async fn an_unsigned_plugin_is_not_verified_whatever_is_trusted() -> Result<()> {
    let signing = Signing::new()?;
    for trusted in ["", &signing.public()] {
        let (document, reason) = refusal(signing.verify(trusted).await?)?;
        ensure!(document["signers"] == json!([]), "{document}");
        ensure!(reason.contains("not signed") && reason.contains("plugin sign"), "{reason}");
    }
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_was_changed_is_not_verified_whatever_is_trusted() -> Result<()> {
    let signing = Signing::new()?;
    signing.sign().await?.exit(0)?;
    signing.tamper()?;
    for trusted in ["", &signing.public()] {
        let (document, reason) = refusal(signing.verify(trusted).await?)?;
        ensure!(document["signers"][0]["holds"] == false, "{document}");
        ensure!(reason.contains(&signing.public()) && reason.contains("does not hold"), "{reason}");
    }
    Ok(())
}

#[tokio::test]
async fn a_plugin_of_a_foreign_key_is_verified_only_where_no_key_is_set() -> Result<()> {
    let signing = Signing::new()?;
    signing.sign().await?.exit(0)?;

    let (document, reason) = refusal(signing.verify(&KeyPair::new_user().public_key()).await?)?;
    ensure!(document["signers"] == json!([{"key": signing.public(), "holds": true, "trusted": false}]), "{document}");
    ensure!(reason.contains(&signing.public()) && reason.contains(TRUSTED), "{reason}");
    let document = signing.verify("").await?.exit(0)?.json()?;
    ensure!(document["signers"] == json!([{"key": signing.public(), "holds": true, "trusted": null}]), "{document}");
    Ok(())
}

#[tokio::test]
async fn something_appended_to_a_signed_plugin_is_found() -> Result<()> {
    let signing = Signing::new()?;
    signing.sign().await?.exit(0)?;
    std::fs::write(signing.plugin(), [&signing.bytes()?[..], b"\0\x03\x01xy"].concat())?;

    let (_, reason) = refusal(signing.verify(&signing.public()).await?)?;
    ensure!(reason.contains("added behind"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn keys_rotate_while_two_signatures_stand_side_by_side() -> Result<()> {
    let signing = Signing::new()?;
    signing.sign().await?.exit(0)?;
    let other = signing.sign_with_another().await?;
    let both = signing.bytes()?;

    for trusted in [&signing.public(), &other, &format!("{other},{}", signing.public())] {
        let document = signing.verify(trusted).await?.exit(0)?.json()?;
        ensure!(document["signers"].as_array().is_some_and(|signers| signers.len() == 2), "{document}");
    }
    // The same key again takes the place of its own signature.
    signing.sign().await?.exit(0)?;
    ensure!(signing.bytes()?.len() == both.len());
    Ok(())
}

#[tokio::test]
async fn verify_takes_the_keys_as_a_flag_of_its_own_too() -> Result<()> {
    let signing = Signing::new()?;
    signing.sign().await?.exit(0)?;
    let (plugin, foreign) = (signing.plugin(), KeyPair::new_user().public_key());
    let public = signing.public();

    let args = ["plugin", "verify", text(&plugin)?, "--plugin-trusted-keys", &public];
    cli().env(TRUSTED, &foreign).run(&args).await?.exit(0)?;
    let args = ["plugin", "verify", text(&plugin)?, "--plugin-trusted-keys", &foreign];
    cli().env(TRUSTED, &public).run(&args).await?.exit(2)?;
    Ok(())
}

#[tokio::test]
async fn verify_in_words_names_every_signer() -> Result<()> {
    let signing = Signing::new()?;
    signing.sign().await?.exit(0)?;
    let other = signing.sign_with_another().await?;
    let plugin = signing.plugin();

    let args = ["plugin", "verify", text(&plugin)?, "--output", "text"];
    let output = cli().env(TRUSTED, &other).run(&args).await?.exit(0)?.stdout;
    for words in [format!("{}  holds, not trusted", signing.public()), format!("{other}  holds, trusted")] {
        ensure!(output.contains(&words), "no {words} in\n{output}");
    }
    signing.tamper()?;
    let output = cli().env(TRUSTED, &other).run(&args).await?.exit(2)?.stdout;
    ensure!(output.contains("refused") && output.contains(&format!("{other}  does not hold")), "{output}");
    Ok(())
}

#[tokio::test]
async fn a_signed_copy_leaves_the_original_alone() -> Result<()> {
    let signing = Signing::new()?;
    let unsigned = signing.bytes()?;
    let (plugin, seed, copy) = (signing.plugin(), signing.path("key.seed"), signing.path("signed.wasm"));

    let args = ["plugin", "sign", text(&plugin)?, "--key", text(&seed)?, "--out", text(&copy)?];
    cli().run(&args).await?.exit(0)?;

    ensure!(signing.bytes()? == unsigned);
    cli().env(TRUSTED, signing.public()).run(&["plugin", "verify", text(&copy)?]).await?.exit(0)?;
    let files = std::fs::read_dir(signing.dir.path())?.count();
    ensure!(files == 3, "something is left over: {files} files");
    Ok(())
}

#[tokio::test]
async fn what_is_no_component_is_not_signed() -> Result<()> {
    let signing = Signing::new()?;
    for (bytes, cause) in
        [(&b"hello"[..], "no WebAssembly component"), (b"\0asm\x01\0\0\0", "no WebAssembly component")]
    {
        std::fs::write(signing.plugin(), bytes)?;
        let output = signing.sign().await?.exit(2)?;
        ensure!(output.stderr.contains(text(&signing.plugin())?) && output.stderr.contains(cause), "{output:?}");
        ensure!(signing.bytes()? == bytes, "it was changed");
    }
    Ok(())
}

#[tokio::test]
async fn a_seed_is_never_shown() -> Result<()> {
    let signing = Signing::new()?;
    let seed = signing.key.seed()?;
    let nats = Nats::start().await?;

    // Where public keys belong, in each of the ways to set them.
    let (code, log) = Host::builder(&nats)?.env(TRUSTED, &seed).ends().await?;
    ensure!(code == 1 && log.contains(TRUSTED) && log.contains("never put a seed there"), "{code}: {log}");
    ensure!(!log.contains(&seed), "{log}");
    let file = signing.path("settings.toml");
    std::fs::write(&file, format!("plugin_trusted_keys = [\"{}\", \"{seed}\"]\n", signing.public()))?;
    let (code, log) = Host::builder(&nats)?.env("CONFIG_FILE", text(&file)?).ends().await?;
    ensure!(code == 1 && log.contains(TRUSTED) && log.contains("settings.toml"), "{code}: {log}");
    ensure!(!log.contains(&seed), "{log}");
    let plugin = signing.plugin();
    let args = ["plugin", "verify", text(&plugin)?, "--plugin-trusted-keys", &seed];
    let output = cli().run(&args).await?.exit(1)?;
    ensure!(output.stderr.contains(TRUSTED) && !format!("{output:?}").contains(&seed), "{output:?}");

    // A seed with a slip, as the key to sign with.
    let damaged = &seed[..57];
    std::fs::write(signing.path("key.seed"), damaged)?;
    let output = signing.sign().await?.exit(1)?;
    ensure!(output.stderr.contains("key.seed") && !format!("{output:?}").contains(damaged), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn a_trusted_key_that_is_none_ends_the_start_and_is_named_by_its_setting() -> Result<()> {
    let nats = Nats::start().await?;
    for wrong in ["alice", ",", "UAAAA"] {
        Host::builder(&nats)?.env(TRUSTED, wrong).refuses(&[TRUSTED, "public nkey"]).await.context(wrong.to_owned())?;
    }
    Ok(())
}

#[tokio::test]
async fn inspect_shows_the_signers() -> Result<()> {
    let signing = Signing::new()?;
    let plugin = signing.plugin();
    let args = ["plugin", "inspect", text(&plugin)?];

    let unsigned = cli().run(&args).await?.exit(0)?.json()?;
    ensure!(unsigned["signers"] == json!([]) && unsigned["signature_error"].is_null(), "{unsigned}");
    signing.sign().await?.exit(0)?;
    let signed = cli().run(&args).await?.exit(0)?.json()?;
    ensure!(signed["signers"] == json!([{"key": signing.public(), "holds": true, "trusted": null}]), "{signed}");
    let words = cli().run(&[&args[..], &["--output", "text"]].concat()).await?.exit(0)?.stdout;
    ensure!(words.contains(&signing.public()), "{words}");
    Ok(())
}

#[tokio::test]
async fn a_host_with_trusted_keys_serves_what_they_signed() -> Result<()> {
    let signing = Signing::new()?;
    signing.sign().await?.exit(0)?;
    let nats = Nats::start().await?;
    let trusted = format!("{},{}", KeyPair::new_account().public_key(), signing.public());
    let builder = Host::builder(&nats)?.without_plugins().plugin_file("agent.wasm", &signing.bytes()?);

    let host = builder.env(TRUSTED, trusted).start(&nats).await?;

    nats.ask(Agent::new().deploy()).await?.ok()?;
    ensure!(!host.log()?.contains(TRUSTED), "a warning though keys are set");
    Ok(())
}

#[tokio::test]
async fn a_host_with_trusted_keys_refuses_all_else_by_file_cause_and_remedy() -> Result<()> {
    let (unsigned, tampered, foreign) = (Signing::new()?, Signing::new()?, Signing::new()?);
    tampered.sign().await?.exit(0)?;
    tampered.tamper()?;
    foreign.sign().await?.exit(0)?;
    let nats = Nats::start().await?;
    let builder = Host::builder(&nats)?
        .without_plugins()
        .plugin_file("unsigned.wasm", &unsigned.bytes()?)
        .plugin_file("tampered.wasm", &tampered.bytes()?)
        .plugin_file("foreign.wasm", &foreign.bytes()?);

    let mut host = builder.env(TRUSTED, tampered.public()).spawn()?;

    host.logs(&["error", "unsigned.wasm", "is not signed", "plugin sign"]).await?;
    host.logs(&["error", "tampered.wasm", &tampered.public(), "does not hold", "take it anew"]).await?;
    host.logs(&["error", "foreign.wasm", &foreign.public(), "add the key there if you trust it"]).await?;
    host.logs(&["not ready"]).await?;
    ensure!(nats.ping().await?.is_empty(), "it answers pings");
    ensure!(host.terminate().await? == 0);
    Ok(())
}

#[tokio::test]
async fn a_host_without_trusted_keys_says_once_that_it_checks_nothing() -> Result<()> {
    let signing = Signing::new()?;
    signing.sign().await?.exit(0)?;
    signing.tamper_behind_the_code()?;
    let nats = Nats::start().await?;
    let builder = Host::builder(&nats)?.without_plugins().plugin_file("agent.wasm", &signing.bytes()?);

    let host = builder.start(&nats).await?;

    nats.ask(Agent::new().deploy()).await?.ok()?;
    let log = host.log()?;
    ensure!(log.lines().filter(|line| line.contains("WARN") && line.contains(TRUSTED)).count() == 1, "{log}");
    Ok(())
}
