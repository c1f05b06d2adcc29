//! `plugin inspect`: what a plugin file is, without serving it.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::field_list::fields;
use super::output::{ASIDE, HEADING, NAME, OutputFlags, harmless};
use super::{CliError, Exit};
use crate::config::Service;
use crate::domain::{Generation, MessageType};
use crate::name::IdFormat;
use crate::plugin::{Limits, LoadError, Plugin, PluginEngine};

/// `plugin`
#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Show what a plugin file is: its domain, commands and events, imports, digest
    Inspect(Inspect),
}

/// `plugin inspect`
#[derive(Debug, Args)]
pub(super) struct Inspect {
    /// The plugin, a .wasm file
    file: PathBuf,
    #[command(flatten)]
    output: OutputFlags,
}

pub(super) fn inspect(inspect: Inspect, service: &Service) -> Result<Exit, CliError> {
    let limits = Limits {
        deadline: service.plugin_deadline,
        memory_bytes_max: usize::try_from(service.plugin_memory_max).unwrap_or(usize::MAX),
        compile_time_max: service.plugin_compile_time_max,
        ..Limits::default()
    };
    let file = inspect.file.display();
    let bytes = read(&inspect.file, limits.file_bytes_max)
        .map_err(|error| CliError::Failed(format!("{file} cannot be read: {error}")))?;
    let loaded = PluginEngine::start(limits).and_then(|engine| Plugin::load(&engine, &bytes));
    let plugin = loaded.map_err(|error| match error {
        LoadError::Engine(_) => CliError::failed(error),
        // Says as much about the machine as about the file.
        LoadError::CompileTimeout(_) => CliError::Failed(format!("{file} cannot be looked into: {error}")),
        error => CliError::Invalid(format!("{file} is no plugin: {error}")),
    })?;
    let output = inspect.output.open();
    if output.is_json() {
        output.document(document(&plugin).to_string().as_bytes())?;
    } else {
        output.text(&in_words(&plugin))?;
    }
    Ok(Exit::Ok)
}

/// A file, cut one byte behind what a plugin may have: its loading then names the limit.
fn read(path: &Path, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn document(plugin: &Plugin) -> Value {
    let about = plugin.description();
    json!({
        "domain": about.domain.as_str(),
        "version": about.version,
        "interface": plugin.interface(),
        "state_schema": about.state_schema,
        "id_field": about.id_field,
        "id_format": format_name(about.id_format),
        "commands": about.commands.iter().map(message_document).collect::<Vec<_>>(),
        "events": about.events.iter().map(message_document).collect::<Vec<_>>(),
        "imports": plugin.imports(),
        "size": plugin.size(),
        "digest": format!("sha256:{}", plugin.digest()),
    })
}

fn message_document(message: &MessageType) -> Value {
    json!({
        "name": message.name.as_str(),
        "description": message.description,
        "fields": fields(&message.schema),
        "schema": message.schema,
    })
}

fn in_words(plugin: &Plugin) -> String {
    let about = plugin.description();
    let mut text = format!("{HEADING}{}{HEADING:#}  {}\n", about.domain, harmless(&about.version));
    let facts = [
        ("interface", plugin.interface().to_owned()),
        ("state schema", about.state_schema.to_string()),
        ("id", format!("{} ({})", about.id_field, format_name(about.id_format))),
        ("size", format!("{} bytes", plugin.size())),
        ("digest", format!("sha256:{}", plugin.digest())),
    ];
    for (fact, value) in facts {
        let _ = writeln!(text, "  {ASIDE}{fact:12}{ASIDE:#}  {}", harmless(&value));
    }
    section(&mut text, "commands", &about.commands);
    section(&mut text, "events", &about.events);
    let _ = write!(text, "\n{HEADING}imports{HEADING:#}");
    for import in plugin.imports() {
        let _ = write!(text, "\n  {}", harmless(import));
    }
    if plugin.imports().is_empty() {
        text.push_str("\n  none");
    }
    text
}

fn section(text: &mut String, heading: &str, messages: &[MessageType]) {
    let _ = writeln!(text, "\n{HEADING}{heading}{HEADING:#}");
    for message in messages {
        let description = message.description.lines().next().unwrap_or_default();
        let _ = writeln!(text, "  {NAME}{}{NAME:#}  {ASIDE}{}{ASIDE:#}", message.name, harmless(description));
        let fields: Vec<(String, String)> = fields(&message.schema)
            .into_iter()
            .map(|field| (format!("{}{}", harmless(&field.name), if field.required { "" } else { "?" }), field.kind))
            .collect();
        let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        for (name, kind) in fields {
            let _ = writeln!(text, "      {name:width$}  {}", harmless(&kind));
        }
    }
}

fn format_name(format: IdFormat) -> &'static str {
    match format {
        IdFormat::Token => "token",
        IdFormat::Uuid => "uuid",
    }
}
