//! One GET request, for the host's own health check.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Most of an answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// The port of a URL that names none.
const PORT: u16 = 80;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
}

/// Asks for a page.
///
/// # Errors
/// In words what went wrong: no such URL, nobody there, no answer within `patience`.
pub async fn get(url: &str, patience: Duration) -> Result<Answer, String> {
    let uri: Uri = url.parse().map_err(|error| format!("`{url}` is no URL: {error}"))?;
    let Some(authority) = uri.authority().filter(|_| uri.scheme_str() == Some("http")) else {
        return Err(format!("`{url}` is no URL of the form http://HOST:PORT/PATH"));
    };
    let (host, port) = (authority.host().trim_matches(['[', ']']).to_owned(), authority.port_u16().unwrap_or(PORT));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(HOST, authority.as_str()).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| format!("`{url}` cannot be asked for: {error}"))?;
    match tokio::time::timeout(patience, exchange(&host, port, request)).await {
        Ok(answer) => answer.map_err(|why| format!("{url} does not answer: {why}")),
        Err(_) => Err(format!("{url} does not answer within {patience:?}")),
    }
}

/// The URL of a page of a host with this `HTTP_ADDR`, from its own machine; `None` where it has none.
pub fn own_url(address: &str, page: &str) -> Option<String> {
    let (host, port) = address.rsplit_once(':')?;
    let host = match host {
        "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    Some(format!("http://{host}:{port}{page}"))
}

async fn exchange(host: &str, port: u16, request: Request<Empty<Bytes>>) -> Result<Answer, String> {
    let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let asked = async move {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        Ok(Answer { status, body: body.map_err(|error| error.to_string())?.to_bytes() })
    };
    // The connection is driven beside the request; whichever ends it, the request tells how.
    let (answer, _) = tokio::join!(asked, connection);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_asked_where_its_own_machine_finds_it() {
        let url = |address| own_url(address, "/readyz").expect("a URL");
        assert_eq!(url("127.0.0.1:8080"), "http://127.0.0.1:8080/readyz");
        assert_eq!(url("0.0.0.0:80"), "http://127.0.0.1:80/readyz");
        assert_eq!(url("[::]:8080"), "http://[::1]:8080/readyz");
        assert_eq!(own_url("", "/readyz"), None);
    }
}
