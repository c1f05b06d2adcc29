//! The table of all settings, made from their declarations: `docs/settings.md` is what it prints. It
//! must not know any setting by its name.

use std::fmt::Write;

use clap::{Arg, Args, CommandFactory};

use super::{CliError, CommandLine, Exit, output};

/// What stands before the tables.
const HEAD: &str = "\
# Settings

<!-- Printed by `agent-service settings`; do not edit. -->

Every setting can be a flag, a variable of the environment or a key of the settings file; the first of these
that has it counts, then the default. How they go together is in [configure.md](configure.md). This page is
what `agent-service settings` prints; a test holds it against the code.

A time is written `365d`, `12h`, `30s`, `100ms`, or as a plain number of seconds. A setting without a default
is off, or left to what its meaning says.
";

const COLUMNS: &str = "\
| environment | flag | key in the file | default | takes | meaning |
|---|---|---|---|---|---|";

/// `settings`
#[derive(Debug, Args)]
pub(super) struct Settings {}

/// Prints the page.
pub(super) fn run(_: Settings) -> Result<Exit, CliError> {
    output::raw(page(&CommandLine::command()).as_bytes())?;
    Ok(Exit::Ok)
}

fn page(command: &clap::Command) -> String {
    let mut tables: Vec<(&str, String)> = Vec::new();
    for arg in command.get_arguments() {
        let Some(row) = row(arg) else { continue };
        let heading = arg.get_help_heading().unwrap_or("Settings file");
        match tables.iter_mut().find(|(title, _)| *title == heading) {
            Some((_, rows)) => rows.push_str(&row),
            None => tables.push((heading, row)),
        }
    }
    let mut page = HEAD.to_owned();
    for (heading, rows) in tables {
        // A text takes whatever is written to it.
        let _ = write!(page, "\n## {heading}\n\n{COLUMNS}\n{rows}");
    }
    page
}

/// The row of an argument, if that is a setting.
fn row(arg: &Arg) -> Option<String> {
    let (environment, flag) = (arg.get_env()?.to_string_lossy(), arg.get_long()?);
    // The file cannot say where it is.
    let key = if arg.get_help_heading().is_some() { format!("`{}`", arg.get_id()) } else { String::new() };
    let defaults = if arg.is_hide_default_value_set() { &[][..] } else { arg.get_default_values() };
    let default: Vec<String> = defaults.iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    let meaning = arg.get_help().map(ToString::to_string).unwrap_or_default();
    Some(format!(
        "| `{environment}` | `--{flag}` | {key} | {} | {} | {} |\n",
        default.join(", "),
        takes(arg),
        in_a_cell(&meaning)
    ))
}

/// The values that there are, or else their kind.
fn takes(arg: &Arg) -> String {
    let values = arg.get_possible_values();
    if !values.is_empty() {
        return values.iter().map(|value| format!("`{}`", value.get_name())).collect::<Vec<_>>().join(" or ");
    }
    let names = arg.get_value_names().unwrap_or_default();
    names.iter().map(|name| name.as_str().to_lowercase()).collect::<Vec<_>>().join(" ")
}

/// Text that stays text within a table.
fn in_a_cell(text: &str) -> String {
    text.replace('<', "&lt;").replace('|', "\\|").replace('*', "\\*")
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::page;

    #[test]
    fn each_setting_is_a_row_under_its_heading() {
        let arg = |name: &'static str| Arg::new(name).long(name).help_heading("One");
        let command = Command::new("x")
            .arg(Arg::new("config").long("config").env("CONFIG_FILE").value_name("FILE").help("A file"))
            .arg(arg("colour").env("COLOUR").value_parser(["red", "blue"]).default_value("red").help("<X> | *y"))
            .arg(arg("seed").env("SEED").value_name("TIME").default_value("7s").hide_default_value(true).help("S"))
            .arg(arg("verbose"));
        let page = page(&command);
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `") || line.starts_with("##")).collect();
        assert_eq!(
            rows,
            [
                "## Settings file",
                "| `CONFIG_FILE` | `--config` |  |  | file | A file |",
                "## One",
                "| `COLOUR` | `--colour` | `colour` | `red` | `red` or `blue` | &lt;X> \\| \\*y |",
                "| `SEED` | `--seed` | `seed` |  | time | S |",
            ]
        );
    }
}
