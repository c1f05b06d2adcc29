//! A collector of traces as far as a host sees one: OTLP over HTTP, protobuf. It must not know who sends
//! what, nor trust that it is well formed.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span as Sent;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::certificates::Certificates;
use crate::eventually::eventually;

/// Status of a span that failed, by the protocol.
const ERROR: i32 = 2;

/// A collector that listens; ends with it.
pub struct Collector {
    port: u16,
    scheme: &'static str,
    kept: Arc<Mutex<Kept>>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
struct Kept {
    spans: Vec<Span>,
    /// The head of each request.
    heads: Vec<String>,
    /// What could not be read.
    faults: Vec<String>,
}

/// A span as it was sent, its ids in hexadecimal.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its trace.
    pub trace_id: String,
    /// Itself.
    pub id: String,
    /// The one above it, empty for none.
    pub parent: String,
    /// What tracing systems keep beside the trace, as text.
    pub state: String,
    /// Its name.
    pub name: String,
    /// When it began and ended, in nanoseconds since 1970.
    pub time: (u64, u64),
    /// Its attributes, as text.
    pub attributes: HashMap<String, String>,
    /// The names of what happened in it, with the attributes.
    pub events: Vec<(String, HashMap<String, String>)>,
    /// Whether it failed.
    pub failed: bool,
    /// What all spans of its sender have in common.
    pub resource: HashMap<String, String>,
}

impl Span {
    /// An attribute; an error names the one that is missing.
    pub fn attribute(&self, name: &str) -> Result<&str> {
        self.attributes.get(name).map(String::as_str).with_context(|| format!("no attribute {name}: {self:?}"))
    }
}

impl Collector {
    /// One at a port of its own.
    pub async fn start() -> Result<Self> {
        Self::at(0).await
    }

    /// One at this port.
    pub async fn at(port: u16) -> Result<Self> {
        Self::listen(port, None).await
    }

    /// One that speaks TLS, with one of these certificates.
    pub async fn with_tls(certificates: &Certificates, name: &str) -> Result<Self> {
        let chain = CertificateDer::pem_file_iter(certificates.file(&format!("{name}.pem")))?;
        let key = PrivateKeyDer::from_pem_file(certificates.file(&format!("{name}-key.pem")))?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions()?.with_no_client_auth();
        let config = config.with_single_cert(chain.collect::<Result<_, _>>()?, key)?;
        Self::listen(0, Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(port: u16, tls: Option<TlsAcceptor>) -> Result<Self> {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.context("the collector gets no port")?;
        let port = listener.local_addr()?.port();
        let kept = Arc::<Mutex<Kept>>::default();
        let keeping = Arc::clone(&kept);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (keeping, tls) = (Arc::clone(&keeping), tls.clone());
                tokio::spawn(async move {
                    let taken = match tls {
                        None => request(stream, &keeping).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => request(stream, &keeping).await,
                            // Whoever does not trust it goes away, and has sent nothing.
                            Err(_) => return,
                        },
                    };
                    if let Err(error) = taken {
                        lock(&keeping).faults.push(format!("{error:#}"));
                    }
                });
            }
        });
        Ok(Self { port, scheme, kept, accepting })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is to be.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// All spans that came so far; an error where something came that is none.
    pub fn spans(&self) -> Result<Vec<Span>> {
        let kept = lock(&self.kept);
        ensure!(kept.faults.is_empty(), "what came could not be read: {:?}", kept.faults);
        Ok(kept.spans.clone())
    }

    /// The heads of the requests that came.
    pub fn heads(&self) -> Vec<String> {
        lock(&self.kept).heads.clone()
    }

    /// Waits for the span of this name that bears this attribute, and returns it.
    pub async fn span(&self, name: &str, attribute: (&str, &str)) -> Result<Span> {
        eventually(&format!("a span {name} with {attribute:?}"), async || {
            let spans = self.spans()?;
            let fits = |span: &&Span| {
                span.name == name && span.attributes.get(attribute.0).is_some_and(|value| value == attribute.1)
            };
            spans.iter().find(fits).cloned().context("not there")
        })
        .await
    }

    /// The spans right below one, in the order of their begin.
    pub fn below(&self, span: &Span) -> Result<Vec<Span>> {
        let mut below: Vec<Span> = self.spans()?.into_iter().filter(|other| other.parent == span.id).collect();
        below.sort_by_key(|span| span.time);
        Ok(below)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn request(mut stream: impl AsyncRead + AsyncWrite + Unpin, kept: &Mutex<Kept>) -> Result<()> {
    let mut read = Vec::new();
    let (head, mut body) = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = read.split_off(end + 4);
            break (String::from_utf8(read)?.to_lowercase(), body);
        }
        if stream.read_buf(&mut read).await? == 0 {
            bail!("a request ended in its head: {}", String::from_utf8_lossy(&read));
        }
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.with_context(|| format!("no length: {head}"))?.trim().parse()?;
    while body.len() < length {
        ensure!(stream.read_buf(&mut body).await? > 0, "a request ended in its body");
    }
    ensure!(head.starts_with("post /v1/traces "), "another request: {head}");
    let sent = ExportTraceServiceRequest::decode(&*body)?;
    {
        let mut kept = lock(kept);
        kept.heads.push(head);
        kept.spans.extend(read_spans(sent));
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n").await?;
    Ok(stream.shutdown().await?)
}

fn read_spans(sent: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for sent in sent.resource_spans {
        let resource = text(sent.resource.map(|resource| resource.attributes).unwrap_or_default());
        let sent = sent.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.extend(sent.map(|span| span_of(span, &resource)));
    }
    spans
}

fn span_of(sent: Sent, resource: &HashMap<String, String>) -> Span {
    Span {
        trace_id: hex::encode(sent.trace_id),
        id: hex::encode(sent.span_id),
        parent: hex::encode(sent.parent_span_id),
        state: sent.trace_state,
        name: sent.name,
        time: (sent.start_time_unix_nano, sent.end_time_unix_nano),
        attributes: text(sent.attributes),
        events: sent.events.into_iter().map(|event| (event.name, text(event.attributes))).collect(),
        failed: sent.status.is_some_and(|status| status.code == ERROR),
        resource: resource.clone(),
    }
}

fn text(attributes: Vec<KeyValue>) -> HashMap<String, String> {
    let value = |attribute: KeyValue| {
        let value = match attribute.value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            Some(Value::BoolValue(truth)) => truth.to_string(),
            other => format!("{other:?}"),
        };
        (attribute.key, value)
    };
    attributes.into_iter().map(value).collect()
}

fn lock(kept: &Mutex<Kept>) -> std::sync::MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
