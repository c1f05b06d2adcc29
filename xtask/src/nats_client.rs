//! The few words of NATS's text protocol that it takes to ask and to listen, at a server without
//! authentication. It must not know what is asked.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// More than a server lets through in one message unless it is told otherwise, which is 1 MiB.
const FRAME_BYTES_MAX: usize = 8 << 20;

/// Read at once: a reply and what comes around it.
const READ_BYTES: usize = 16 << 10;

/// The number of the subscription that answers come by; others have higher ones.
const INBOX: u64 = 1;

/// A connection.
#[derive(Debug)]
pub(crate) struct NatsClient {
    stream: TcpStream,
    /// What has arrived and was not looked at yet.
    arrived: Vec<u8>,
    inbox: String,
    asked: u64,
    subscriptions: u64,
}

/// A message that has arrived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) subject: String,
    pub(crate) payload: Vec<u8>,
    /// Whether it is the server's word that nobody is there to answer.
    nobody: bool,
}

impl NatsClient {
    /// Connects to `nats://HOST:PORT`.
    pub(crate) fn connect(url: &str) -> Result<Self> {
        static CLIENTS: AtomicU64 = AtomicU64::new(0);
        let address = url.strip_prefix("nats://").with_context(|| format!("`{url}` does not begin with nats://"))?;
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {url}"))?;
        // A request is answered before the next one is sent: waiting for more to send gains nothing.
        stream.set_nodelay(true).context("cannot set up a connection")?;
        let inbox = format!("_INBOX.xtask.{}.{}", std::process::id(), CLIENTS.fetch_add(1, Ordering::Relaxed));
        let mut client = Self { stream, arrived: Vec::new(), inbox, asked: 0, subscriptions: INBOX };
        let options = r#"{"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#;
        client.say(format!("CONNECT {options}\r\nSUB {}.* {INBOX}\r\n", client.inbox).as_bytes())?;
        Ok(client)
    }

    /// Takes what is published on a subject from now on: when this returns, the server knows.
    pub(crate) fn subscribe(&mut self, subject: &str, patience: Duration) -> Result<()> {
        self.subscriptions += 1;
        self.say(format!("SUB {subject} {}\r\nPING\r\n", self.subscriptions).as_bytes())?;
        let until = Instant::now() + patience;
        while let Some(frame) = self.frame(until)? {
            if matches!(frame, Frame::Pong) {
                return Ok(());
            }
        }
        bail!("the server does not answer within {patience:?}")
    }

    /// Asks and waits for the one answer; `None` where nobody is there to give one, or none comes
    /// in time.
    pub(crate) fn request(&mut self, subject: &str, payload: &[u8], patience: Duration) -> Result<Option<Message>> {
        self.asked += 1;
        let reply = format!("{}.{}", self.inbox, self.asked);
        let mut words = format!("PUB {subject} {reply} {}\r\n", payload.len()).into_bytes();
        words.extend_from_slice(payload);
        words.extend_from_slice(b"\r\n");
        self.say(&words)?;
        let until = Instant::now() + patience;
        while let Some(message) = self.message(until)? {
            if message.subject == reply {
                return Ok(Some(message).filter(|message| !message.nobody));
            }
        }
        Ok(None)
    }

    /// The next message; `None` where none comes in time.
    pub(crate) fn next(&mut self, patience: Duration) -> Result<Option<Message>> {
        self.message(Instant::now() + patience)
    }

    fn message(&mut self, until: Instant) -> Result<Option<Message>> {
        while let Some(frame) = self.frame(until)? {
            if let Frame::Message(message) = frame {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    fn frame(&mut self, until: Instant) -> Result<Option<Frame>> {
        loop {
            if let Some((length, frame)) = first_frame(&self.arrived)? {
                self.arrived.drain(..length);
                match frame {
                    Frame::Ping => self.say(b"PONG\r\n")?,
                    Frame::Refusal(why) => bail!("the NATS server says: {why}"),
                    frame => return Ok(Some(frame)),
                }
            } else if !self.read(until)? {
                return Ok(None);
            }
        }
    }

    /// Takes more of what arrives; `false` where nothing does in time.
    fn read(&mut self, until: Instant) -> Result<bool> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        self.stream.set_read_timeout(Some(left)).context("cannot limit the wait for an answer")?;
        let mut bytes = [0; READ_BYTES];
        match self.stream.read(&mut bytes) {
            Ok(0) => bail!("the NATS server has closed the connection"),
            Ok(count) => self.arrived.extend_from_slice(&bytes[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot read from the NATS server"),
        }
        Ok(true)
    }

    fn say(&mut self, words: &[u8]) -> Result<()> {
        self.stream.write_all(words).context("cannot write to the NATS server")
    }
}

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
enum Frame {
    Message(Message),
    Ping,
    Pong,
    Refusal(String),
    /// What matters to nobody here.
    Other,
}

/// The first frame in the bytes with its length; `None` while it is not complete.
fn first_frame(bytes: &[u8]) -> Result<Option<(usize, Frame)>> {
    let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
        return if bytes.len() > FRAME_BYTES_MAX { bail!("a line without end") } else { Ok(None) };
    };
    let line = std::str::from_utf8(&bytes[..end]).context("a line that is no text")?;
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (kind, body) = (words.first().copied().unwrap_or_default(), end + 2);
    let frame = match kind {
        "PING" => Frame::Ping,
        "PONG" => Frame::Pong,
        "-ERR" => Frame::Refusal(line["-ERR".len()..].trim().to_owned()),
        "MSG" | "HMSG" => {
            return message(kind == "HMSG", &words, &bytes[body..])
                .map(|found| found.map(|(length, message)| (body + length, Frame::Message(message))));
        }
        _ => Frame::Other,
    };
    Ok(Some((body, frame)))
}

/// `MSG subject sid [reply] bytes`, or `HMSG subject sid [reply] header-bytes bytes`: what follows
/// that line.
fn message(with_headers: bool, words: &[&str], rest: &[u8]) -> Result<Option<(usize, Message)>> {
    let number = |from_end: usize| -> Result<usize> {
        let word =
            words.len().checked_sub(from_end).and_then(|at| words.get(at)).context("a message without its size")?;
        word.parse().with_context(|| format!("`{word}` is no size"))
    };
    let size = number(1)?;
    let headers = if with_headers { number(2)? } else { 0 };
    if size > FRAME_BYTES_MAX || headers > size {
        bail!("a message of {size} bytes with headers of {headers}");
    }
    if rest.len() < size + 2 {
        return Ok(None);
    }
    let subject = words.get(1).context("a message without its subject")?;
    let status = rest[..headers].split(|byte| *byte == b'\r').next().unwrap_or_default();
    let message = Message {
        subject: (*subject).to_owned(),
        payload: rest[headers..size].to_owned(),
        nobody: status == b"NATS/1.0 503",
    };
    Ok(Some((size + 2, message)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Frame, NatsClient, first_frame};
    use crate::nats_server::NatsServer;
    use crate::poll::PATIENCE;

    fn payload(bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
        match first_frame(bytes).unwrap()? {
            (length, Frame::Message(message)) => Some((length, message.payload)),
            (_, frame) => panic!("{frame:?}"),
        }
    }

    #[test]
    fn a_message_is_taken_only_once_it_is_complete() {
        let whole = b"HMSG a.b 1 10 14\r\nNATS/1.0\r\nx\r\ny\r\n";
        for cut in 0..whole.len() {
            assert_eq!(payload(&whole[..cut]), None, "{cut}");
        }
        assert_eq!(payload(whole), Some((whole.len(), b"x\r\ny".to_vec())));
        assert_eq!(payload(b"MSG a 1 reply.to 2\r\nhi\r\nPING\r\n"), Some((24, b"hi".to_vec())));
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        for bad in
            [&b"MSG a 1 x\r\n"[..], b"MSG\r\n", b"HMSG a 1 9 2\r\nhi\r\n", b"MSG a 1 99999999999\r\n", b"\xff\r\n"]
        {
            assert!(first_frame(bad).is_err(), "{bad:?}");
        }
        assert_eq!(first_frame(b"-ERR 'no'\r\n").unwrap().unwrap().1, Frame::Refusal("'no'".to_owned()));
    }

    #[test]
    fn a_real_server_is_asked_and_listened_to() {
        let server = NatsServer::start().unwrap();
        let mut asking = NatsClient::connect(server.client_url()).unwrap();
        let mut listening = NatsClient::connect(server.client_url()).unwrap();
        assert_eq!(asking.request("nobody.here", b"hello", PATIENCE).unwrap(), None);
        listening.subscribe("somebody.*", PATIENCE).unwrap();
        assert_eq!(asking.request("somebody.here", b"hello", Duration::from_millis(1)).unwrap(), None);
        let heard = listening.next(PATIENCE).unwrap().unwrap();
        assert_eq!((heard.subject.as_str(), &heard.payload[..]), ("somebody.here", &b"hello"[..]));
        assert_eq!(listening.next(Duration::from_millis(1)).unwrap(), None);
        let account = asking.request("$JS.API.INFO", b"", PATIENCE).unwrap().unwrap();
        assert!(account.payload.starts_with(b"{"), "{account:?}");
    }
}
