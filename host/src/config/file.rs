//! The settings file: TOML whose keys are the settings in snake case. Its values become
//! flags that stand behind those given, unless the environment has the setting.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use toml::{Table, Value};

/// Why the settings file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("settings file {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not TOML.
    #[error("settings file {} is not TOML: {why}", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        why: String,
    },
    /// A key that is no setting.
    #[error("settings file {}: unknown key `{key}`, the settings are {known}", path.display())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// All keys there are.
        known: String,
    },
    /// A value that is a table or a date.
    #[error("settings file {}: `{key}` takes a text, a number, or a list of them", path.display())]
    NoPlainValue {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
}

/// The value of `--config` on a command line that is not parsed yet.
pub(super) fn path_in(args: &[OsString]) -> Option<OsString> {
    let mut args = args.iter().skip(1);
    while let Some(arg) = args.next() {
        let text = arg.to_string_lossy();
        if text == "--" {
            return None;
        }
        if text == "--config" {
            return args.next().cloned();
        }
        if let Some(path) = text.strip_prefix("--config=") {
            return Some(path.into());
        }
    }
    None
}

/// The file's settings as flags, without those that `args` or the environment have.
pub(super) fn as_flags(command: &Command, path: &Path, args: &[OsString]) -> Result<Vec<String>, FileError> {
    let text = std::fs::read_to_string(path).map_err(|source| FileError::Unreadable { path: path.into(), source })?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| FileError::NotToml {
        path: path.into(),
        // Without the line itself, which may be a password's.
        why: format!("line {}: {}", line_of(&text, &error), error.message().replace('\n', " ")),
    })?;
    let mut flags = Vec::new();
    for (key, value) in table {
        let Some(setting) = settings(command).find(|arg| arg.get_id().as_str() == key) else {
            let known = settings(command).map(|arg| arg.get_id().as_str()).collect::<Vec<_>>().join(", ");
            return Err(FileError::UnknownKey { path: path.into(), key, known });
        };
        let value = plain(&value).ok_or_else(|| FileError::NoPlainValue { path: path.into(), key: key.clone() })?;
        let flag = format!("--{}", setting.get_long().unwrap_or_default());
        let given = args.iter().any(|arg| {
            let arg = arg.to_string_lossy();
            arg == flag.as_str() || arg.strip_prefix(&flag).is_some_and(|rest| rest.starts_with('='))
        });
        let in_environment = setting.get_env().is_some_and(|name| std::env::var_os(name).is_some());
        if !given && !in_environment {
            flags.push(format!("{flag}={value}"));
        }
    }
    Ok(flags)
}

/// The number of the line that an error is about.
fn line_of(text: &str, error: &toml::de::Error) -> usize {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    before.matches('\n').count() + 1
}

/// The name in the environment of the setting with this flag.
pub(super) fn setting_of_flag(command: &Command, flag: &str) -> Option<String> {
    let setting = settings(command).find(|arg| arg.get_long() == Some(flag))?;
    setting.get_env().map(|name| name.to_string_lossy().into_owned())
}

/// The arguments that are settings: those with a name in the environment, but the file itself.
fn settings(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| arg.get_env().is_some() && arg.get_id() != "config")
}

/// A value as a flag would have it; a list becomes comma-separated.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Array(items) => items.iter().map(plain).collect::<Option<Vec<_>>>().map(|items| items.join(",")),
        _ => None,
    }
}
