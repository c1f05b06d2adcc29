//! A small HTTP server for whoever watches: it answers GET and HEAD for some pages, and nothing
//! else. Everything a client can take is bounded. Must not know what stands on the pages.

pub mod client;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at once: probes and scrapers are few. Others wait for a place.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take for its request's head.
const HEAD_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a connection lasts: one request, one answer.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(15);
/// Size of a request's head in bytes, the least that the library takes.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// Headers of a request.
const HEADERS_MAX: usize = 64;
/// Pause after a connection could not be taken: mostly there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A page as it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Whether all is well: 200, else 503.
    pub ok: bool,
    /// What the text is.
    pub content_type: &'static str,
    /// The text.
    pub text: String,
}

/// The pages there are.
pub trait Pages: Send + Sync {
    /// The page of that path, where there is one.
    fn page(&self, path: &str) -> Option<BoxFuture<'static, Page>>;
}

/// An address that is listened to.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens to `HOST:PORT`; with port 0 the system chooses one.
    ///
    /// # Errors
    /// [`HttpError`] where the address cannot be had.
    pub async fn bind(address: &str) -> Result<Self, HttpError> {
        let unusable = |why: std::io::Error| HttpError { address: address.to_owned(), why };
        let listener = TcpListener::bind(address).await.map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        Ok(Self { listener, address })
    }

    /// What it listens to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers for ever.
    pub async fn serve(self, pages: Arc<dyn Pages>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            // Nobody closes it.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let pages = Arc::clone(&pages);
                    tokio::spawn(async move {
                        let _place = place;
                        connection(stream, pages).await;
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "an HTTP connection could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn connection(stream: TcpStream, pages: Arc<dyn Pages>) {
    let service = service_fn(|request| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(answer(&request, &*pages).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_TIME_MAX, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an HTTP connection ended"),
        Err(_) => tracing::debug!("an HTTP connection took too long and was closed"),
    }
}

async fn answer(request: &Request<Incoming>, pages: &dyn Pages) -> Response<Full<Bytes>> {
    let Some(page) = pages.page(request.uri().path()) else {
        return plain(StatusCode::NOT_FOUND, "there is no such page\n");
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    if !request.body().is_end_stream() {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "a request here has no body\n");
    }
    let Page { ok, content_type, text } = page.await;
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    response(status, content_type, text.into())
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", Bytes::from_static(text.as_bytes()))
}

fn response(status: StatusCode, content_type: &'static str, text: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The address cannot be listened to.
#[derive(Debug, thiserror::Error)]
#[error(
    "HTTP_ADDR={address} cannot be served ({why}): give it an address that is free on this machine, or leave it empty to go without health and metrics"
)]
pub struct HttpError {
    address: String,
    why: std::io::Error,
}
