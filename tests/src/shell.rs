//! A shell that is typed into: it keeps variables, directory and background processes from one command to
//! the next, and everything it started ends with it. It must not know what is typed.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long one command may take: some start a cluster.
const COMMAND_PATIENCE: Duration = Duration::from_secs(90);
/// Begins the line that ends a command's output; no program prints it.
const END: char = '\u{1e}';

/// The shell. Its children die with it.
pub struct Shell {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Shell {
    /// One that begins in this directory, with this environment and no other.
    pub fn start(dir: &Path, env: &[(&str, String)]) -> Result<Self> {
        let mut child = Command::new("sh")
            .env_clear()
            .envs(env.iter().map(|(name, value)| (name, value)))
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("sh does not start")?;
        let mut stdin = child.stdin.take().context("standard input is piped")?;
        let stdout = child.stdout.take().context("standard output is piped")?;
        // Where the test is killed, its end of the pipe closes and the shell takes its children along.
        stdin.write_all(b"exec 2>&1\ntrap 'trap - TERM; kill 0' EXIT\n")?;
        let (told, lines) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                if told.send(text).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Ok(Self { child, stdin, lines })
    }

    /// What a command prints, and its exit code.
    pub fn run(&mut self, command: &str) -> Result<(String, i32)> {
        write!(self.stdin, "{{ {command}\n}} < /dev/null\nprintf '\\n\\036%s\\n' \"$?\"\n")?;
        self.stdin.flush()?;
        let mut printed: Vec<String> = Vec::new();
        let end = Instant::now() + COMMAND_PATIENCE;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => match line.strip_prefix(END) {
                    Some(code) => {
                        // The line feed before the end mark.
                        if printed.last().is_some_and(String::is_empty) {
                            printed.pop();
                        }
                        return Ok((printed.join("\n"), code.parse()?));
                    }
                    None => printed.push(line),
                },
                Err(RecvTimeoutError::Timeout) => {
                    bail!("does not end within {COMMAND_PATIENCE:?}:\n{}", printed.join("\n"))
                }
                Err(RecvTimeoutError::Disconnected) => bail!("ended the shell:\n{}", printed.join("\n")),
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The whole group, by the number of the child that leads it and has not been waited for.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("sh").args(["-c", "kill -s KILL -- \"$0\" 2>/dev/null", &group]).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::Shell;

    #[test]
    fn what_is_typed_is_kept_and_what_is_printed_comes_back() {
        let path = std::env::var("PATH").expect("every system has it");
        let mut shell = Shell::start(&std::env::temp_dir(), &[("PATH", path)]).unwrap();
        assert_eq!(shell.run("word=hello").unwrap(), (String::new(), 0));
        assert_eq!(
            shell.run("echo $word\nprintf there; echo error >&2; false").unwrap(),
            ("hello\nthereerror".to_owned(), 1)
        );
        assert_eq!(shell.run("cat << EOF\n$word\nEOF").unwrap(), ("hello".to_owned(), 0));
        assert_eq!(shell.run("sleep 600 & echo").unwrap(), (String::new(), 0));
        assert!(shell.run("exit 3").unwrap_err().to_string().contains("ended the shell"));
    }
}
