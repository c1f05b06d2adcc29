//! The command line's shape: settings, subcommands, help. Knows nothing of what they do.

use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::backup::Backup;
use super::completions::Completions;
use super::doctor::Doctor;
use super::events::Events;
use super::health::Health;
use super::inbox::InboxCommand;
use super::log_level::LogLevel;
use super::plugin::PluginCommand;
use super::restore::Restore;
use super::send::Send;
use super::settings::Settings;
use super::state::State;
use super::stream::StreamCommand;
use super::verify::Verify;
use crate::config::{Connection, File, Service};

/// How long a command that asks tries to connect where no setting says so: somebody waits.
const CLIENT_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Widest help text, in columns.
const HELP_COLUMNS_MAX: usize = 100;

/// What the process was started to do.
#[derive(Debug)]
pub struct CommandLine {
    /// How to reach NATS.
    pub connection: Connection,
    /// How to serve.
    pub service: Service,
    /// What to do instead of serving.
    pub command: Option<Command>,
}

/// What there is beside serving.
#[derive(Debug, Subcommand)]
#[expect(private_interfaces, reason = "what is asked is this module's business alone")]
pub enum Command {
    /// Send a command and print the reply
    Send(Send),
    /// Print the state of an aggregate
    State(State),
    /// List events, of a domain or of one aggregate
    Events(Events),
    /// Look after durable commands that were given up on
    #[command(subcommand)]
    Inbox(InboxCommand),
    /// Look into plugins and sign them; list, activate and try those of running hosts
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Look after streams
    #[command(subcommand)]
    Stream(StreamCommand),
    /// Copy events, snapshots and plugins into a directory
    ///
    /// Each stream as it is at one moment, in the form of `nats stream backup`: a folder with
    /// backup.json and stream.tar.s2. Hosts may go on serving. It is read back before it is done, and
    /// has its name only then.
    Backup(Backup),
    /// Restore a backup into a server that has none of its streams
    ///
    /// Takes what `backup` or `nats stream backup` wrote. All of it is checked before anything is
    /// written. Exits with 2 where the backup is damaged, with 5 where a stream stands already.
    Restore(Restore),
    /// Walk whole logs and say what is wrong with them
    ///
    /// Versions without gaps, events that hosts wrote, histories that evolve with the live code,
    /// snapshots that are what their events give. Nothing is changed; hosts may go on serving. Exits
    /// with 0 where nothing is wrong, with 9 where something is, with 6 where it cannot be read.
    Verify(Verify),
    /// Look at everything that keeps the service from working, and say what to do
    ///
    /// Settings, files, plugins, NATS, JetStream, streams, permissions, hosts: one line each, ok,
    /// skipped, warning or failure. Nothing is changed, whether hosts run or not. Exits with 0 where all
    /// is well, with 10 where there are warnings, with 9 where something fails, with 1 where the settings
    /// cannot be read.
    Doctor(Doctor),
    /// Ask a running host whether it is ready
    ///
    /// The health check of a container without curl. Exits with 0 where it is, else with 1, and says
    /// which part is not.
    Health(Health),
    /// Show or change what running hosts log
    ///
    /// Until it is changed again, reset, or the host ends. Without a filter it shows what is logged.
    /// Exits with 0 where every host has done it, with 2 where one refused.
    LogLevel(LogLevel),
    /// Print the table of all settings, in Markdown
    Settings(Settings),
    /// Print a completion script for a shell
    Completions(Completions),
}

/// Runs event-sourced domain logic as WebAssembly components over NATS JetStream. Without a
/// command it serves.
#[derive(Debug, Parser)]
#[command(name = "agent-service", version, max_term_width = HELP_COLUMNS_MAX, subcommand_value_name = "COMMAND")]
#[command(after_help = "Exit codes: 0 ok, 1 settings, usage and anything else, 2 invalid, 3 rejected, \
    4 not_found or expired, 5 conflict, 6 overloaded or unavailable, 7 timeout, 8 plugin_failed, \
    9 verify found something or doctor a failure, 10 doctor found warnings")]
struct Arguments {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    service: Service,
    #[command(subcommand)]
    command: Option<Command>,
}

impl CommandFactory for CommandLine {
    fn command() -> clap::Command {
        // The values in the environment are no part of the help, and some are secrets.
        Arguments::command().mut_args(|arg| arg.hide_env_values(true)).mut_arg("nats_connect_timeout", |arg| {
            arg.help("How long to try at first, 3s where a command asks and nothing is set; a connection lost later is tried for ever")
        })
    }

    fn command_for_update() -> clap::Command {
        Self::command()
    }
}

impl FromArgMatches for CommandLine {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let Arguments { file: _, mut connection, service, mut command } = Arguments::from_arg_matches(matches)?;
        let given = |setting| matches.value_source(setting).is_some_and(|source| source != ValueSource::DefaultValue);
        if command.is_some() && !given("nats_connect_timeout") {
            connection.nats_connect_timeout = CLIENT_CONNECT_TIMEOUT;
        }
        if let Some(Command::Stream(StreamCommand::Upgrade(upgrade))) = &mut command
            && given("stream_layout")
        {
            upgrade.layout.get_or_insert(service.stream_layout);
        }
        Ok(Self { connection, service, command })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::builder::Resettable;

    use super::*;
    use crate::config::Layout;

    /// Parses without the environment, which is not the same everywhere.
    fn parsed(args: &[&str]) -> Result<CommandLine, clap::Error> {
        let command = CommandLine::command().mut_args(|arg| arg.env(Resettable::Reset));
        CommandLine::from_arg_matches(&command.try_get_matches_from(["agent-service"].iter().chain(args))?)
    }

    fn help_of(path: &[&str]) -> String {
        let mut command = CommandLine::command().term_width(HELP_COLUMNS_MAX);
        command.build();
        let found = path.iter().try_fold(&mut command, |command, name| command.find_subcommand_mut(name));
        found.expect("a subcommand").render_help().to_string()
    }

    #[test]
    fn the_shape_is_sound() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn help_reads_well() {
        let paths: [&[&str]; 30] = [
            &[],
            &["send"],
            &["state"],
            &["events"],
            &["inbox"],
            &["inbox", "list"],
            &["inbox", "show"],
            &["inbox", "retry"],
            &["inbox", "skip"],
            &["plugin"],
            &["plugin", "check"],
            &["plugin", "inspect"],
            &["plugin", "sign"],
            &["plugin", "verify"],
            &["plugin", "push"],
            &["plugin", "list"],
            &["plugin", "activate"],
            &["plugin", "rollback"],
            &["plugin", "shadow"],
            &["stream"],
            &["stream", "upgrade"],
            &["stream", "origins"],
            &["backup"],
            &["restore"],
            &["verify"],
            &["doctor"],
            &["health"],
            &["log-level"],
            &["settings"],
            &["completions"],
        ];
        for path in paths {
            insta::assert_snapshot!([&["help"], path].concat().join("_"), help_of(path));
        }
    }

    #[test]
    fn help_shows_no_value_of_the_environment() {
        let path = std::env::var("PATH").expect("every system has it");
        let shown = CommandLine::command().mut_arg("nats_user", |arg| arg.env("PATH")).render_help().to_string();
        assert!(shown.contains("[env: PATH]") && !shown.contains(&path), "{shown}");
    }

    #[test]
    fn who_asks_waits_less_than_a_service_that_starts() {
        let timeout = |args: &[&str]| parsed(args).expect("a command line").connection.nats_connect_timeout;
        assert_eq!(timeout(&[]), Duration::from_secs(30));
        assert_eq!(timeout(&["state", "agent", "a"]), CLIENT_CONNECT_TIMEOUT);
        assert_eq!(timeout(&["state", "agent", "a", "--nats-connect-timeout", "30s"]), Duration::from_secs(30));
        assert_eq!(timeout(&["--nats-connect-timeout", "7s", "state", "agent", "a"]), Duration::from_secs(7));
    }

    #[test]
    fn an_upgrade_takes_the_layout_that_was_set_and_none_that_was_not() {
        let layout = |args: &[&str]| match parsed(args).expect("a command line").command {
            Some(Command::Stream(StreamCommand::Upgrade(upgrade))) => upgrade.layout,
            _ => None,
        };
        assert_eq!(layout(&["stream", "upgrade"]), None);
        assert_eq!(layout(&["stream", "upgrade", "--layout", "split"]), Some(Layout::Split));
        assert_eq!(layout(&["--stream-layout", "combined", "stream", "upgrade"]), Some(Layout::Combined));
        let both = ["--stream-layout", "combined", "stream", "upgrade", "--stream-layout", "split"];
        assert_eq!(layout(&both), Some(Layout::Split));
    }

    #[test]
    fn an_empty_cache_directory_is_none_and_another_is_taken_as_it_is() {
        let directory = |flag| parsed(&[flag]).expect("a command line").service.plugin_cache_dir();
        assert_eq!(directory("--plugin-cache-dir="), None);
        assert_eq!(directory("--plugin-cache-dir=here/it is"), Some("here/it is".into()));
    }

    #[test]
    fn misuse_is_refused() {
        for wrong in [
            &["sing"][..],
            &["send", "agent", "deploy"],
            &["send", "agent", "deploy", "{}", "--json", "{}"],
            &["send", "agent", "deploy", "{}", "--durable", "--reply-timeout", "3"],
            &["inbox"],
            &["inbox", "retry", "agent"],
            &["inbox", "skip", "agent", "first"],
            &["--inbox-tries", "0"],
            &["state", "agent"],
            &["state", "agent", "a", "--json", "--output", "text"],
            &["send", "agent", "deploy", "{}", "--reply-timeout", "0"],
            &["send", "agent", "deploy", "{}", "--expected-version", "-1"],
            &["state", "agent", "a", "--plugin-dir", "x"],
            &["plugin"],
            &["--plugin-compile-time-max", "0"],
            &["plugin", "check"],
            &["plugin", "check", "a.wasm", "--time", "0"],
            &["plugin", "sign", "a.wasm"],
            &["plugin", "verify", "a.wasm", "--plugin-trusted-keys", "a"],
            &["plugin", "push", "a.wasm", "--accept-drift"],
            &["plugin", "activate", "agent"],
            &["plugin", "activate", "agent", "abcdef01", "--wait", "2h"],
            &["plugin", "rollback"],
            &["plugin", "shadow", "a.wasm", "--share", "0", "--for", "5s"],
            &["plugin", "shadow", "a.wasm", "--share", "101", "--for", "5s"],
            &["plugin", "shadow", "a.wasm", "--share", "10"],
            &["log-level", "debug", "--reset"],
            &["log-level", "loud"],
            &["backup"],
            &["restore", "a", "--replicas", "0"],
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
        for right in [
            &["send", "agent", "deploy", "-"][..],
            &["send", "agent", "deploy", "--json", "-"],
            &["send", "agent", "deploy", "{}", "--durable"],
            &["log-level"],
            &["log-level", "info,plugin=debug", "--host", "node-1"],
            &["plugin", "push", "a.wasm", "--activate", "--accept-drift", "--wait", "5s"],
            &["plugin", "activate", "agent", "abcdef01", "--accept-drift", "--wait", "1m"],
            &["plugin", "rollback", "agent", "--wait", "90"],
            &["plugin", "shadow", "a.wasm", "--share", "12.5%", "--for", "5m", "--activate-if-same"],
        ] {
            assert!(parsed(right).is_ok(), "{right:?}");
        }
    }
}
