//! A command as a reader would type it into a shell. It must not run anything.

use std::process::Command;

/// Program and arguments, quoted where a shell needs it. The program's directory and the
/// environment are left out.
pub(crate) fn of(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    let quoted: Vec<String> = words.map(|word| quote(&word.to_string_lossy())).collect();
    quoted.join(" ")
}

pub(crate) fn quote(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=,@%+".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{of, quote};

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quote("agent-service"), "agent-service");
        assert_eq!(quote(r#"{"by":2}"#), r#"'{"by":2}'"#);
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }

    #[test]
    fn a_command_is_written_without_the_directory_of_its_program() {
        let mut command = Command::new("/opt/bin/cargo");
        command.args(["test", "-p", "host", "a b"]);
        assert_eq!(of(&command), "cargo test -p host 'a b'");
    }
}
