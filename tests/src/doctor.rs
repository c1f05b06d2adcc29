//! `agent-service doctor` as a script runs it, with all that it needs to find nothing wrong. It must not
//! know more of it than grades, checks and exit codes.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{Cli, Output};
use crate::nats::Nats;
use crate::plugin_dir::PluginDir;
use crate::plugins::plugin;

/// A place for plugins, and settings for who looks.
pub struct Doctor {
    /// The plugin directory.
    pub plugins: PluginDir,
    cache: TempDir,
    cli: Cli,
}

/// What it found.
#[derive(Debug)]
pub struct Report {
    output: Output,
    findings: Vec<Value>,
}

impl Doctor {
    /// With the agent plugin, for this server.
    pub fn new(nats: &Nats) -> Result<Self> {
        Self::for_url(&nats.url())
    }

    /// The same for any address.
    pub fn for_url(url: &str) -> Result<Self> {
        let plugins = PluginDir::with("agent.wasm", &plugin("agent")?)?;
        let cache = TempDir::with_prefix("agent-service-cache-")?;
        let cli = Cli::for_url(url)
            .env("PLUGIN_DIR", plugins.path().display())
            .env("PLUGIN_CACHE_DIR", cache.path().display())
            // Tests run side by side, and hosts of other tests may have the usual port.
            .env("HTTP_ADDR", "");
        Ok(Self { plugins, cache, cli })
    }

    /// One more setting by its environment name.
    #[must_use]
    pub fn env(self, name: &str, value: impl ToString) -> Self {
        Self { cli: self.cli.env(name, value), ..self }
    }

    /// Started by a program that becomes it.
    #[must_use]
    pub fn through(self, program: &[&str]) -> Self {
        Self { cli: self.cli.through(program), ..self }
    }

    /// Where compiled plugins are kept.
    pub fn cache(&self) -> &Path {
        self.cache.path()
    }

    /// Looks.
    pub async fn looks(&self, arguments: &[&str]) -> Result<Report> {
        let output = self.cli.run(&[&["doctor", "--json"], arguments].concat()).await?;
        let report = output.json()?;
        let findings = report["findings"].as_array().context("findings")?.clone();
        let worst = match report["worst"].as_str() {
            Some("ok" | "skipped") => 0,
            Some("warning") => 10,
            Some("failure") => 9,
            other => anyhow::bail!("no grade: {other:?}"),
        };
        ensure!(output.code == worst, "exit code {} for {report}", output.code);
        let remedies = findings
            .iter()
            .all(|finding| matches!(finding["grade"].as_str(), Some("ok" | "skipped")) == finding["remedy"].is_null());
        ensure!(remedies, "what is not well has a remedy, and nothing else: {report}");
        Ok(Report { output, findings })
    }

    /// Looks, and must find this: a check of this grade that says all these words.
    pub async fn finds(&self, grade: &str, check: &str, words: &[&str]) -> Result<Report> {
        let report = self.looks(&[]).await?;
        report.has(grade, check, words)?;
        Ok(report)
    }
}

impl Report {
    /// Its exit code.
    pub fn code(&self) -> i32 {
        self.output.code
    }

    /// Checks of this grade, once for each finding.
    pub fn checks(&self, grade: &str) -> Vec<&str> {
        let found = self.findings.iter().filter(|finding| finding["grade"] == grade);
        found.filter_map(|finding| finding["check"].as_str()).collect()
    }

    /// There must be a finding of this check and grade that says all these words.
    pub fn has(&self, grade: &str, check: &str, words: &[&str]) -> Result<()> {
        let says = |finding: &Value| {
            let text = finding.to_string();
            finding["check"] == check && finding["grade"] == grade && words.iter().all(|word| text.contains(word))
        };
        let of_check: Vec<&Value> = self.findings.iter().filter(|finding| finding["check"] == check).collect();
        ensure!(self.findings.iter().any(says), "{check} is no {grade} with {words:?}: {of_check:?}");
        Ok(())
    }
}
