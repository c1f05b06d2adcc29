//! Settings: flags over environment over a TOML file over defaults. Each setting is declared
//! once, below; a value is read the same way wherever it comes from.

mod cache_dir;
mod connection;
mod endpoint;
mod file;
mod log_filter;
mod secret;
mod streams;

use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches, ValueEnum};

pub use self::connection::Connection;
pub use self::file::FileError;
pub use self::log_filter::log_filter;
pub use self::secret::{Secret, Urls, without_login};
pub use self::streams::AGENT_DOMAIN;
use crate::signature::{TrustedKeys, TrustedKeysError};

/// How to serve.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Service")]
pub struct Service {
    /// Stream of the agent domain; another domain's is <DOMAIN>_EVENTS
    #[arg(long, env, value_name = "NAME", default_value = "AGENT_EVENTS", value_parser = stream_name)]
    pub stream_name: String,
    /// Subjects of a stream that the service makes
    #[arg(long, env, value_name = "LAYOUT", value_enum, default_value_t)]
    pub stream_layout: Layout,
    /// Servers that keep a stream or bucket that the service makes, 1 to 5
    #[arg(long, env, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub stream_replicas: u8,
    /// After what time events leave a stream that the service makes; 0 for never
    #[arg(long, env, value_name = "TIME", default_value = "365d", value_parser = duration)]
    pub stream_max_age: Duration,
    /// A snapshot is taken every so many events of an aggregate
    #[arg(long, env, value_name = "EVENTS", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub snapshot_frequency: u64,
    /// Snapshots a second, beside those, of aggregates that have changed, so that a host that is killed
    /// leaves little to read; 0 for none
    #[arg(long, env, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub snapshot_write_behind: u32,
    /// How long before events leave their stream a snapshot must cover them; at most half their age
    #[arg(long, env, value_name = "TIME", default_value = "30d", value_parser = positive_duration)]
    pub snapshot_before_expiry: Duration,
    /// Where snapshots are kept
    #[arg(long, env, value_name = "STORE", value_enum, default_value_t)]
    pub snapshot_store: SnapshotKeeping,
    /// Queue group that hosts share commands and queries in
    #[arg(long, env, value_name = "NAME", default_value = "agent-workers", value_parser = queue_group)]
    pub queue_group: String,
    /// Whether this host executes commands of the durable lane, <domain>.inbox.>
    #[arg(long, env, value_name = "SWITCH", value_enum, default_value_t)]
    pub inbox: Switch,
    /// Tries of a command of the durable lane that its plugin fails, before it is parked; 1 to 100
    #[arg(long, env, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub inbox_tries: u32,
    /// Directory with the plugins, *.wasm; watched while the service runs
    #[arg(long, env, value_name = "DIR", default_value = "./plugins")]
    pub plugin_dir: PathBuf,
    /// Where plugins come from: a directory, or what the fleet keeps in NATS
    #[arg(long, env, value_name = "SOURCE", value_enum, default_value_t)]
    pub plugin_source: PluginSource,
    /// Public nkeys, comma-separated: plugins must bear the signature of one of them. Without any,
    /// signatures are not checked
    #[arg(long, env, value_name = "KEYS", default_value = "", hide_default_value = true)]
    pub plugin_trusted_keys: TrustedKeys,
    /// Longest time one call of a plugin may take
    #[arg(long, env, value_name = "TIME", default_value = "1s", value_parser = positive_duration)]
    pub plugin_deadline: Duration,
    /// Memory of one plugin instance, in bytes; 1 MiB to 4 GiB
    #[arg(long, env, value_name = "BYTES", default_value_t = 64 << 20, value_parser = clap::value_parser!(u64).range((1 << 20)..=(4 << 30)))]
    pub plugin_memory_max: u64,
    /// Longest time to wait for a plugin to be compiled
    #[arg(long, env, value_name = "TIME", default_value = "60s", value_parser = positive_duration)]
    pub plugin_compile_time_max: Duration,
    /// Longest time a plugin may be held against what is recorded before it goes live
    #[arg(long, env, value_name = "TIME", default_value = "30s", value_parser = positive_duration)]
    pub plugin_gate_time: Duration,
    /// Most aggregates a plugin is held against before it goes live; at most 100,000
    #[arg(long, env, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub plugin_gate_aggregates: u32,
    /// How long after a swap failures put the plugin before back; 0 for never
    #[arg(long, env, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub plugin_probation: Duration,
    /// Failures of a plugin on probation that are let pass
    #[arg(long, env, value_name = "COUNT", default_value_t = 3)]
    pub plugin_probation_failures: u32,
    /// Commands of a hundred whose events are applied to a throw-away copy before they are stored; on
    /// probation, those of new code all are
    #[arg(long, env, value_name = "PERCENT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub plugin_trial_share: u8,
    /// Directory for compiled plugins, by default agent-service in the user's cache directory; empty for none
    #[arg(long, env, value_name = "DIR", value_parser = any_path)]
    pub plugin_cache_dir: Option<PathBuf>,
    /// Live aggregates that a host keeps, per domain; at most 100,000
    #[arg(long, env, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub cache_capacity: u32,
    /// Largest payload of a command or query, in bytes
    #[arg(long, env, value_name = "BYTES", default_value_t = 256 << 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub command_bytes_max: u32,
    /// How long to wait for JetStream to acknowledge events
    #[arg(long, env, value_name = "TIME", default_value = "5s", value_parser = positive_duration)]
    pub append_timeout: Duration,
    /// Address of health and metrics, HOST:PORT; empty for none
    #[arg(long, env, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = http_address)]
    pub http_addr: String,
    /// trace, debug, info, warn or error, or a filter per module
    #[arg(long, env, value_name = "FILTER", default_value = "info", value_parser = log_filter)]
    pub log_level: String,
    /// Form of log lines
    #[arg(long, env, value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Base URL of a collector that traces are exported to over OTLP (HTTP, protobuf); empty for none
    #[arg(long, env, value_name = "URL", default_value = "", hide_default_value = true, value_parser = endpoint::otlp_endpoint)]
    pub otel_exporter_otlp_endpoint: String,
}

/// `INBOX`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Switch {
    /// It does
    #[default]
    On,
    /// It does not
    Off,
}

/// `STREAM_LAYOUT`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Layout {
    /// Events only
    #[default]
    Split,
    /// Commands and events
    Combined,
}

/// `SNAPSHOT_STORE`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SnapshotKeeping {
    /// In a key-value bucket
    #[default]
    Jetstream,
    /// In the process
    Memory,
}

/// `PLUGIN_SOURCE`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum PluginSource {
    /// A directory
    #[default]
    Dir,
    /// The fleet's buckets in NATS
    Nats,
}

/// `LOG_FORMAT`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// A line for people
    #[default]
    Text,
    /// A JSON object a line
    Json,
}

/// Where the settings file is.
#[derive(Debug, Clone, Args)]
pub struct File {
    /// TOML file with settings, keys in snake case
    #[arg(long, env = "CONFIG_FILE", global = true, value_name = "FILE", value_parser = some_path)]
    pub config: Option<PathBuf>,
}

/// Reads the command line `P` with the environment and the settings file behind it.
///
/// # Errors
/// [`SettingsError`]: a help text to print, or what is wrong and where.
pub fn parse<P: CommandFactory + FromArgMatches>(args: impl IntoIterator<Item = OsString>) -> Result<P, SettingsError> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let command = P::command();
    let file = file::path_in(&args).or_else(|| std::env::var_os("CONFIG_FILE").filter(|path| !path.is_empty()));
    let mut from_file = Vec::new();
    if let Some(path) = &file {
        from_file = file::as_flags(&command, path.as_ref(), &args).map_err(SettingsError::File)?;
        let program = args.len().min(1);
        args.splice(program..program, from_file.iter().map(OsString::from));
    }
    let parsed = command.clone().try_get_matches_from(args).and_then(|matches| P::from_arg_matches(&matches));
    parsed.map_err(|error| match SettingsError::of(&command, error) {
        SettingsError::Value { setting, flag, value, why }
            if from_file.iter().any(|given| given.starts_with(&format!("--{flag}="))) =>
        {
            let why = format!("{why} (in {})", file.unwrap_or_default().display());
            SettingsError::Value { setting, flag, value, why }
        }
        other => other,
    })
}

impl Service {
    /// Where compiled plugins are kept: as set, else where the surroundings say. `None` for
    /// nowhere.
    pub fn plugin_cache_dir(&self) -> Option<PathBuf> {
        match &self.plugin_cache_dir {
            Some(set) => Some(set.clone()).filter(|path| !path.as_os_str().is_empty()),
            None => cache_dir::by_default(|name| std::env::var_os(name)),
        }
    }

    /// Checks what no single value shows.
    ///
    /// # Errors
    /// [`SettingsError::Contradiction`] names the settings.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.snapshot_store == SnapshotKeeping::Memory && !self.stream_max_age.is_zero() {
            let why = "SNAPSHOT_STORE=memory does not go with a finite STREAM_MAX_AGE: a snapshot then is all that is left of aged events. Set STREAM_MAX_AGE=0 or SNAPSHOT_STORE=jetstream";
            return Err(SettingsError::Contradiction(why.into()));
        }
        Ok(())
    }
}

/// Why there are no settings.
#[derive(Debug)]
pub enum SettingsError {
    /// Nothing is wrong: a text was asked for, or the command line is misused.
    CommandLine(clap::Error),
    /// A value cannot be read.
    Value {
        /// The setting's name in the environment.
        setting: String,
        /// Its name as a flag.
        flag: String,
        /// The value, unless it may be a secret.
        value: Option<String>,
        /// What is wrong with it, and what it takes.
        why: String,
    },
    /// Settings that do not go together.
    Contradiction(String),
    /// The settings file.
    File(FileError),
}

impl SettingsError {
    fn of(command: &clap::Command, error: clap::Error) -> Self {
        let text = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.clone()),
            _ => None,
        };
        if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
            return Self::CommandLine(error);
        }
        let Some(argument) = text(ContextKind::InvalidArg) else { return Self::CommandLine(error) };
        let flag = argument.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default();
        let Some(setting) = file::setting_of_flag(command, flag) else { return Self::CommandLine(error) };
        let source = std::error::Error::source(&error);
        // Where public keys belong, people put seeds by mistake.
        let may_be_secret = source.is_some_and(|source| source.is::<TrustedKeysError>());
        let value = (!may_be_secret).then(|| text(ContextKind::InvalidValue).unwrap_or_default());
        let why = match error.get(ContextKind::ValidValue) {
            Some(ContextValue::Strings(valid)) => format!("it takes {}", valid.join(" or ")),
            _ => source.map_or_else(|| "it cannot be read".to_owned(), ToString::to_string),
        };
        Self::Value { setting, flag: flag.to_owned(), value, why }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine(error) => error.fmt(f),
            Self::Value { setting, value: Some(value), why, .. } => {
                write!(f, "setting {setting} cannot be `{value}`: {why}")
            }
            Self::Value { setting, value: None, why, .. } => write!(f, "setting {setting} cannot be used: {why}"),
            Self::Contradiction(why) => f.write_str(why),
            Self::File(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SettingsError {}

/// A hundred years: what clocks and JetStream still count without overflow.
const DURATION_MAX: Duration = Duration::from_secs(36_500 * 24 * 3_600);

/// A length of time: `365d`, `30s`, `100ms`, or a plain number of seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let time = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text).map_err(|_| "it takes a time like 365d, 12h, 30s or 100ms")?,
    };
    if time > DURATION_MAX { Err("it takes at most 36500d".into()) } else { Ok(time) }
}

/// The same above 0.
pub(crate) fn positive_duration(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|time| if time.is_zero() { Err("it takes a time above 0".into()) } else { Ok(time) })
}

/// A path; an empty one is an error rather than the current directory.
fn some_path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("it takes a path; unset it to do without".into()) } else { Ok(text.into()) }
}

/// A path, or an empty text, which stands for none.
fn any_path(text: &str) -> Result<PathBuf, Infallible> {
    Ok(text.into())
}

fn stream_name(text: &str) -> Result<String, String> {
    let fits =
        !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || ".*>/\\".contains(c));
    if fits { Ok(text.to_owned()) } else { Err("a stream's name has no white space and none of . * > / \\".into()) }
}

fn queue_group(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "*>".contains(c));
    if fits { Ok(text.to_owned()) } else { Err("a queue group has no white space and none of * >".into()) }
}

/// `HOST:PORT`, or an empty text, which stands for none.
fn http_address(text: &str) -> Result<String, String> {
    let fits = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if fits || text.is_empty() {
        Ok(text.to_owned())
    } else {
        Err("it takes HOST:PORT like 127.0.0.1:8080, or nothing to go without health and metrics".into())
    }
}
