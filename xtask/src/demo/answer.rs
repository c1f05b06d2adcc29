//! What the service's command line answered, and the comparison with what was told. It must
//! not know which command was run.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Exit code and the documents on standard output, one per line.
#[derive(Debug)]
pub(crate) struct Answer {
    exit_code: Option<i32>,
    /// Standard output as it came.
    pub(crate) text: String,
    pub(crate) documents: Vec<Value>,
}

impl Answer {
    pub(crate) fn new(exit_code: Option<i32>, stdout: &str) -> Result<Self> {
        let documents: Vec<Value> = stdout
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("`{line}` is no JSON")))
            .collect::<Result<_>>()?;
        Ok(Self { exit_code, text: stdout.to_owned(), documents })
    }

    /// The value at a JSON pointer of the one document there should be.
    pub(crate) fn at(&self, pointer: &str) -> Result<&Value> {
        let [document] = self.documents.as_slice() else {
            bail!("one document was to be printed, but there were {}", self.documents.len());
        };
        document.pointer(pointer).with_context(|| format!("there is no {pointer} in {document}"))
    }

    /// Fails unless the value at the pointer is the one told.
    pub(crate) fn must_be(&self, pointer: &str, told: impl Into<Value>) -> Result<()> {
        same(pointer, self.at(pointer)?, &told.into())
    }

    pub(crate) fn must_exit_with(&self, code: i32) -> Result<()> {
        if self.exit_code == Some(code) {
            return Ok(());
        }
        let found = self.exit_code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
        bail!("exit code {code} was told, but {found} came")
    }
}

/// Fails unless both are the same.
pub(crate) fn same(what: &str, found: &Value, told: &Value) -> Result<()> {
    if found != told {
        bail!("{what} should be {told}, but is {found}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Answer;

    #[test]
    fn what_is_not_as_told_is_named() {
        let answer = Answer::new(Some(0), "{\"status\":\"ok\",\"version\":2}\n").unwrap();
        answer.must_be("/status", "ok").unwrap();
        answer.must_exit_with(0).unwrap();
        assert_eq!(answer.must_be("/version", 3).unwrap_err().to_string(), "/version should be 3, but is 2");
        assert!(answer.must_be("/id", "x").is_err());
        assert!(answer.must_exit_with(3).is_err());
        assert!(Answer::new(Some(0), "hello").is_err());
        assert!(Answer::new(Some(0), "").unwrap().at("/status").is_err());
    }
}
