//! Whether a service answers on NATS. It must not know how the service is started, nor anything
//! about domains.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::nats_client::NatsClient;

/// Long beside an answer on this machine, short beside the patience of those who ask again.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);

/// Asks once on `$SRV.PING.<name>`. No answer, and a server that cannot be reached, is
/// `false`; only an answer that makes no sense is an error. `url` must be of a server
/// without authentication: `nats://HOST:PORT`.
pub(crate) fn answers(url: &str, name: &str) -> Result<bool> {
    let Ok(mut client) = NatsClient::connect(url) else {
        return Ok(false);
    };
    let answer = client.request(&format!("$SRV.PING.{name}"), b"", ANSWER_PATIENCE);
    Ok(answer.with_context(|| format!("cannot ask at {url} whether {name} is there"))?.is_some())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::answers;

    /// A server that says `answer` once it was asked, with the reply subject in the place of `@`.
    fn server_that_says(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"INFO {}\r\n").unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let asked = lines.find(|line| line.starts_with("PUB $SRV.PING.agent-service ")).unwrap();
            let reply = asked.split(' ').nth(2).unwrap();
            stream.write_all(answer.replace('@', reply).as_bytes()).unwrap();
        });
        url
    }

    #[test]
    fn a_message_is_an_answer() {
        let url = server_that_says("MSG @ 1 2\r\n{}\r\n");
        assert!(answers(&url, "agent-service").unwrap());
    }

    #[test]
    fn a_message_with_headers_is_an_answer() {
        let url = server_that_says("HMSG @ 1 20 22\r\nNATS/1.0\r\na: 503\r\n\r\n{}\r\n");
        assert!(answers(&url, "agent-service").unwrap());
    }

    #[test]
    fn no_responders_is_none() {
        let url = server_that_says("HMSG @ 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n");
        assert!(!answers(&url, "agent-service").unwrap());
    }

    #[test]
    fn no_server_is_none() {
        assert!(!answers("nats://127.0.0.1:1", "agent-service").unwrap());
    }

    #[test]
    fn a_refusal_is_an_error() {
        let url = server_that_says("-ERR 'Authorization Violation'\r\n");
        let error = answers(&url, "agent-service").unwrap_err();
        assert!(format!("{error:#}").contains("Authorization Violation"), "{error:#}");
    }
}
