//! `plugin inspect`: what a plugin file is, without serving it.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::{candidate, file, signers};
use crate::cli::field_list::fields;
use crate::cli::output::{ASIDE, HEADING, NAME, OutputFlags, harmless};
use crate::cli::{CliError, Exit};
use crate::config::Service;
use crate::domain::{Generation, MessageType};
use crate::name::IdFormat;
use crate::plugin::Plugin;
use crate::signature::{SignatureError, Signed, TrustedKeys, signatures};

/// `plugin inspect`
#[derive(Debug, Args)]
pub(in crate::cli) struct Inspect {
    /// The plugin, a .wasm file
    file: PathBuf,
    #[command(flatten)]
    output: OutputFlags,
}

pub(super) fn run(inspect: Inspect, service: &Service) -> Result<Exit, CliError> {
    let bytes = file::read(&inspect.file)?;
    let plugin = candidate::load(&inspect.file, &bytes, service)?;
    let signed = Looked { signed: signatures(&bytes), keys: &service.plugin_trusted_keys };
    let output = inspect.output.open();
    if output.is_json() {
        output.document(document(&plugin, &signed).to_string().as_bytes())?;
    } else {
        output.text(&in_words(&plugin, &signed))?;
    }
    Ok(Exit::Ok)
}

/// Its signatures, which a file that can be looked into need not have, nor in a good state.
struct Looked<'a> {
    signed: Result<Signed<'a>, SignatureError>,
    keys: &'a TrustedKeys,
}

fn document(plugin: &Plugin, looked: &Looked<'_>) -> Value {
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
        "signers": looked.signed.as_ref().map_or_else(|_| Vec::new(), |signed| signers::documents(signed, looked.keys)),
        "signature_error": looked.signed.as_ref().err().map(ToString::to_string),
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

fn in_words(plugin: &Plugin, looked: &Looked<'_>) -> String {
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
    let _ = write!(text, "\n\n{HEADING}signers{HEADING:#}");
    let lines = match &looked.signed {
        Ok(signed) if signed.signatures.is_empty() => vec!["none".to_owned()],
        Ok(signed) => signers::lines(signed, looked.keys),
        Err(error) => vec![error.to_string()],
    };
    for line in lines {
        let _ = write!(text, "\n  {line}");
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
