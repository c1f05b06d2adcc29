//! Whether a service answers on NATS: the few words of the text protocol that this takes.
//! It must not know how the service is started, nor anything about domains.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Long beside an answer on this machine, short beside the patience of those who ask again.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);

/// Asks once on `$SRV.PING.<name>`. No answer, and a server that cannot be reached, is
/// `false`; only an answer that makes no sense is an error. `url` must be of a server
/// without authentication: `nats://HOST:PORT`.
pub(crate) fn answers(url: &str, name: &str) -> Result<bool> {
    let address = url.strip_prefix("nats://").with_context(|| format!("`{url}` does not begin with nats://"))?;
    let Ok(stream) = TcpStream::connect(address) else {
        return Ok(false);
    };
    stream.set_read_timeout(Some(ANSWER_PATIENCE)).context("cannot limit the wait for an answer")?;
    let mut writer = stream.try_clone().context("cannot use a connection both ways")?;
    let options = r#"{"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#;
    let request = format!("CONNECT {options}\r\nSUB ping.reply 1\r\nPUB $SRV.PING.{name} ping.reply 0\r\n\r\n");
    if writer.write_all(request.as_bytes()).is_err() {
        return Ok(false);
    }
    // A connection's first lines are few: INFO, then the answer, a PING at most.
    let mut lines = BufReader::new(stream.take(64 * 1024)).lines();
    while let Some(Ok(line)) = lines.next() {
        match line.split(' ').next().unwrap_or_default() {
            "MSG" => return Ok(true),
            // Nobody listens: the server says so in a message with headers only.
            "HMSG" => return Ok(!lines.next().is_some_and(|status| status.is_ok_and(|s| s.contains(" 503")))),
            "-ERR" => bail!("the server at {url} refuses the question whether {name} is there: {line}"),
            _ => {}
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::answers;

    /// A server that says `answer` once it was asked.
    fn server_that_says(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"INFO {}\r\n").unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            assert!(lines.any(|line| line.unwrap() == "PUB $SRV.PING.agent-service ping.reply 0"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        url
    }

    #[test]
    fn a_message_is_an_answer() {
        let url = server_that_says("MSG ping.reply 1 2\r\n{}\r\n");
        assert!(answers(&url, "agent-service").unwrap());
    }

    #[test]
    fn a_message_with_headers_is_an_answer() {
        let url = server_that_says("HMSG ping.reply 1 20 22\r\nNATS/1.0\r\na: b 503\r\n\r\n{}\r\n");
        assert!(answers(&url, "agent-service").unwrap());
    }

    #[test]
    fn no_responders_is_none() {
        let url = server_that_says("HMSG ping.reply 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n");
        assert!(!answers(&url, "agent-service").unwrap());
    }

    #[test]
    fn no_server_is_none() {
        assert!(!answers("nats://127.0.0.1:1", "agent-service").unwrap());
    }
}
