//! One HTTP request by a connection of its own: for the health check, and for traces. Must not know what
//! is asked or sent.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue};
pub use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
pub use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

/// Most of an answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// The ports of URLs that name none, without and with TLS.
const PORTS: [u16; 2] = [80, 443];

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
    let request = Request::get(url).body(Bytes::new()).map_err(|error| format!("`{url}` is no URL: {error}"))?;
    let response = send(request, None, patience).await?;
    Ok(Answer { status: response.status().as_u16(), body: response.into_body() })
}

/// Sends a request to the absolute URL in it, by a connection of its own, and reads the answer. `https` takes
/// a word on whom to trust.
///
/// # Errors
/// As [`get`] has them, and what is wrong with TLS.
pub async fn send(
    mut request: Request<Bytes>,
    trust: Option<&TlsConnector>,
    patience: Duration,
) -> Result<Response<Bytes>, String> {
    let uri = request.uri().clone();
    let (tls, port) = match (uri.scheme_str(), trust) {
        (Some("http"), _) => (None, PORTS[0]),
        (Some("https"), Some(trust)) => (Some(trust), PORTS[1]),
        _ => return Err(format!("`{uri}` is no URL of the form http://HOST:PORT/PATH")),
    };
    let Some(authority) = uri.authority() else { return Err(format!("`{uri}` names no host")) };
    let (host, port) = (authority.host().trim_matches(['[', ']']).to_owned(), authority.port_u16().unwrap_or(port));
    let named = HeaderValue::from_str(authority.as_str());
    request.headers_mut().insert(HOST, named.map_err(|error| format!("`{uri}` cannot be asked for: {error}"))?);
    // A server, unlike a proxy, is asked by path.
    let path = uri.path_and_query().cloned().map_or(Uri::from_static("/"), Uri::from);
    *request.uri_mut() = path;
    match tokio::time::timeout(patience, exchange(&host, port, tls, request.map(Full::new))).await {
        Ok(answer) => answer.map_err(|why| format!("{uri} does not answer: {why}")),
        Err(_) => Err(format!("{uri} does not answer within {patience:?}")),
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

async fn exchange(
    host: &str,
    port: u16,
    tls: Option<&TlsConnector>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, String> {
    let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
    let Some(tls) = tls else { return exchange_over(stream, request).await };
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let stream = tls.connect(name, stream).await.map_err(|error| format!("TLS fails: {error}"))?;
    exchange_over(stream, request).await
}

async fn exchange_over(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let asked = async move {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(|error| error.to_string())?;
        Ok(Response::from_parts(head, body.to_bytes()))
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
