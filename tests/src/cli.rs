//! The service's own command line, run as a person or a script runs it. It must not know more of
//! it than arguments, standard streams and exit codes.

use std::ffi::OsString;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::eventually::PATIENCE;
use crate::nats::Nats;
use crate::plugins::service_binary;

/// A command line for one server.
pub struct Cli {
    url: String,
    through: Vec<String>,
    envs: Vec<(String, String)>,
}

/// What one run left behind.
#[derive(Debug)]
pub struct Output {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// The output as one JSON document.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(self.stdout.trim()).with_context(|| format!("no JSON: {self:?}"))
    }

    /// The output as one JSON document per line.
    pub fn json_lines(&self) -> Result<Vec<Value>> {
        let lines = self.stdout.lines().filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))).collect()
    }

    /// The output, if the exit code is this one.
    pub fn exit(self, code: i32) -> Result<Self> {
        ensure!(self.code == code, "expected exit code {code}: {self:?}");
        Ok(self)
    }
}

impl Cli {
    /// A command line for this server.
    pub fn new(nats: &Nats) -> Self {
        Self::for_url(&nats.url())
    }

    /// A command line for any address.
    pub fn for_url(url: &str) -> Self {
        Self { url: url.to_owned(), through: Vec::new(), envs: Vec::new() }
    }

    /// With one more setting by its environment name.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl ToString) -> Self {
        self.envs.push((name.to_owned(), value.to_string()));
        self
    }

    /// Started by a program that becomes it: this one with these arguments, and then its own.
    #[must_use]
    pub fn through(mut self, program: &[&str]) -> Self {
        self.through = program.iter().map(|&part| part.to_owned()).collect();
        self
    }

    /// Runs it to its end.
    pub async fn run(&self, args: &[&str]) -> Result<Output> {
        self.run_with_input(args, "").await
    }

    /// The same with something on standard input.
    pub async fn run_with_input(&self, args: &[&str], input: &str) -> Result<Output> {
        let mut child = self.command(args)?.stdin(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("standard input is piped")?;
        // A program that does not read its input may have closed it already.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
            .await
            .with_context(|| format!("agent-service {args:?} does not end"))??;
        Ok(Output {
            code: output.status.code().context("killed by a signal")?,
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// Starts it where it does not end by itself.
    pub fn follow(&self, args: &[&str]) -> Result<Follow> {
        let mut child = self.command(args)?.stdin(Stdio::null()).spawn()?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        Ok(Follow { lines: BufReader::new(stdout).lines(), _child: child })
    }

    fn command(&self, args: &[&str]) -> Result<Command> {
        let line: Vec<OsString> = self.through.iter().map(OsString::from).chain([service_binary()?.into()]).collect();
        let mut command = Command::new(&line[0]);
        command
            .args(&line[1..])
            .args(args)
            .env_clear()
            .env("NATS_URL", &self.url)
            .envs(self.envs.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok(command)
    }
}

/// A run that prints line after line.
pub struct Follow {
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Follow {
    /// The next line as JSON.
    pub async fn next(&mut self) -> Result<Value> {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.context("no further line")??;
        let line = line.context("the output has ended")?;
        serde_json::from_str(&line).with_context(|| format!("no JSON: {line}"))
    }
}
