//! Where a command's payload comes from. Does not judge it: that is the service's to do.

use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;
use clap::Args;

use super::CliError;

/// Most bytes that are read: more than any NATS server carries in a message.
const BYTES_MAX: u64 = 64 << 20;

/// The payload's source, one of two.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Payload {
    /// The payload: a JSON object, @FILE to read it from, or - for standard input
    #[arg(value_name = "TEXT|@FILE|-")]
    payload: Option<String>,
    /// The payload as a flag
    #[arg(long, value_name = "TEXT|@FILE|-")]
    json: Option<String>,
}

impl Payload {
    /// Reads it.
    pub(super) fn read(&self) -> Result<Bytes, CliError> {
        let source = self.payload.as_deref().or(self.json.as_deref()).unwrap_or_default();
        read_from(source, io::stdin())
    }
}

fn read_from(source: &str, stdin: impl Read) -> Result<Bytes, CliError> {
    if source == "-" {
        return bounded(stdin, "standard input");
    }
    match source.strip_prefix('@') {
        None => Ok(source.to_owned().into()),
        Some(path) => {
            let unreadable = |error| CliError::Failed(format!("{path} cannot be read: {error}"));
            bounded(File::open(path).map_err(unreadable)?, path)
        }
    }
}

fn bounded(from: impl Read, name: &str) -> Result<Bytes, CliError> {
    let mut bytes = Vec::new();
    from.take(BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| CliError::Failed(format!("{name} cannot be read: {error}")))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(CliError::Invalid(format!("{name} has more than the {BYTES_MAX} bytes that NATS can carry")));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn text_files_and_standard_input_are_taken() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(b"{\"a\":1}").expect("written");
        let at_file = format!("@{}", file.path().display());
        for source in [r#"{"a":1}"#, "-", &at_file] {
            assert_eq!(read_from(source, &b"{\"a\":1}"[..]).expect("a payload"), r#"{"a":1}"#, "{source}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read_from("@/nowhere/payload.json", io::empty()).expect_err("no file");
        assert!(error.to_string().starts_with("/nowhere/payload.json cannot be read: "), "{error}");
    }

    #[test]
    fn what_nats_cannot_carry_is_not_read() {
        assert!(matches!(bounded(io::repeat(b' '), "standard input"), Err(CliError::Invalid(_))));
    }
}
