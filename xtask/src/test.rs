//! `cargo xtask test`: everything that must hold, in order of how soon it tells. It must
//! not know what the tests are about.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::artifacts::{self, Profile};
use crate::terminal::{Style, Terminal};
use crate::{deploy_checkers, faults, nats_server, shell_line, tidy, wasm_target, workspace};

/// With arguments, only the tests they choose are run, by the same runner in the same
/// surroundings; they are the runner's own.
pub(crate) fn run(filter: &[String]) -> Result<()> {
    if filter.is_empty() {
        look_at_the_text()?;
        cargo_step("lint", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
        check_dependencies()?;
    }
    build()?;
    if filter.is_empty() {
        // Before the other tests, whose summary is what one wants to see last.
        step("doctests", &mut in_surroundings(&["test", "--doc", "--workspace"])?)?;
    }
    deploy_checkers::note_what_is_missing(Terminal::stdout())?;
    let mut tests = in_surroundings(&test_runner())?;
    // Without a line of ours after it: the runner's summary is the last that is seen.
    attempt("tests", tests.args(filter))
}

/// Seconds, and the most frequent slips.
fn look_at_the_text() -> Result<()> {
    cargo_step("formatting", &["fmt", "--all", "--check"])?;
    let begun = Instant::now();
    let alone = "cargo test --package xtask --test tidy";
    announce("tidiness", alone)?;
    let findings = tidy::findings(workspace::root())?;
    if !findings.is_empty() {
        let listing = tidy::listing(&findings);
        bail!("the step `tidiness` failed; alone it is run with\n{alone}\nIt found:\n{listing}");
    }
    done("tidiness", begun)
}

fn check_dependencies() -> Result<()> {
    if is_installed("deny") {
        cargo_step("licences and bans", &["deny", "--workspace", "check", "licenses", "bans", "sources"])
    } else {
        Terminal::stdout().note("licences and bans are not checked: cargo-deny is not installed")
    }
}

/// The host is built with the tests in one go: cargo gives shared dependencies the union
/// of the features that the chosen targets ask for, and another choice would build them
/// a second time.
fn build() -> Result<()> {
    wasm_target::ensure()?;
    let begun = Instant::now();
    announce("plugins", &shell_line::of(&artifacts::plugin_build()))?;
    artifacts::plugins().context("the step `plugins` failed")?;
    done("plugins", begun)?;
    cargo_step("build", &["build", "--workspace", "--bins", "--tests"])?;
    // Of the host's own crate only: what the fault suite must notice.
    cargo_step("sabotaged host", &faults::sabotaged_build())
}

/// cargo-nextest where it is installed: it is faster, and runs every test in a process of
/// its own. Without examples, which are plugins and of no use to the machine.
fn test_runner() -> Vec<&'static str> {
    if is_installed("nextest") {
        vec!["nextest", "run", "--workspace", "--bins", "--tests"]
    } else {
        vec!["test", "--workspace", "--bins", "--tests"]
    }
}

/// A call of cargo in whose environment the tests from outside find what they run.
fn in_surroundings(arguments: &[&str]) -> Result<Command> {
    let mut command = workspace::cargo();
    command
        .args(arguments)
        .env("NATS_SERVER", nats_server::find()?)
        .env("AGENT_SERVICE_BIN", artifacts::binary("agent-service", Profile::Dev)?)
        .env("AGENT_SERVICE_SABOTAGED_BIN", artifacts::binary(faults::SABOTAGED, Profile::Dev)?)
        .env("AGENT_PLUGINS", workspace::target_dir().join("plugins"));
    Ok(command)
}

fn is_installed(subcommand: &str) -> bool {
    let mut command = workspace::cargo();
    command.args([subcommand, "--version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn cargo_step(name: &str, arguments: &[&str]) -> Result<()> {
    step(name, workspace::cargo().args(arguments))
}

fn step(name: &str, command: &mut Command) -> Result<()> {
    let begun = Instant::now();
    attempt(name, command)?;
    done(name, begun)
}

/// Runs one step; where it fails, says which it was and how to repeat it alone.
fn attempt(name: &str, command: &mut Command) -> Result<()> {
    announce(name, &shell_line::of(command))?;
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start the step `{name}`"))?;
    if !status.success() {
        bail!("the step `{name}` failed ({status}); alone it is run with\n{}", alone(command));
    }
    Ok(())
}

/// The command with the environment it was given, to be pasted into a shell.
fn alone(command: &Command) -> String {
    let surroundings = command.get_envs().filter_map(|(name, value)| {
        let value = value?.to_string_lossy();
        Some(format!("{}={} ", name.to_string_lossy(), shell_line::quote(&value)))
    });
    surroundings.collect::<String>() + &shell_line::of(command)
}

fn announce(name: &str, line: &str) -> Result<()> {
    let terminal = Terminal::stdout();
    let title = terminal.paint(Style::Title, &format!("▸ {name}"));
    terminal.line(&format!("{title}  {}", terminal.paint(Style::Faint, line)))
}

fn done(name: &str, begun: Instant) -> Result<()> {
    let terminal = Terminal::stdout();
    let text = format!("✓ {name} ({:.1} s)", begun.elapsed().as_secs_f64());
    terminal.line(&terminal.paint(Style::Good, &text))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{alone, step};

    #[test]
    fn a_failing_step_is_named_with_the_way_to_repeat_it() {
        let mut command = Command::new("false");
        let error = step("nothing", command.arg("x y").env("NATS_SERVER", "/opt/nats server")).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("the step `nothing` failed"), "{text}");
        assert!(text.ends_with("NATS_SERVER='/opt/nats server' false 'x y'"), "{text}");
        assert_eq!(alone(&Command::new("ls")), "ls");
    }
}
