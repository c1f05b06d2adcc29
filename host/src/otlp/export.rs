//! Takes traces out of their queue and posts them in batches. An endpoint that takes none is told of once,
//! and tried again with growing pauses; meanwhile the queue fills, and what finds no room in it is dropped.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::{mpsc, oneshot};

use super::setting::{CERTIFICATE, OtlpError, Settled};
use super::spans::Spans;
use super::tls;
use crate::http::client::{self, TlsConnector};
use crate::metrics::TraceCounts;
use crate::trace::Trace;

/// Traces in one request: some hundred kilobytes.
const BATCH_MAX: usize = 256;
/// How long traces wait for others to share their request.
const GATHER_MAX: Duration = Duration::from_secs(1);
/// How long one request may take.
const REQUEST_MAX: Duration = Duration::from_secs(5);
/// Pause after the first request in a row that failed; each further one pauses twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// What posts traces.
pub(super) struct Exporter {
    exporter: SpanExporter,
    spans: Spans,
    last: Arc<Mutex<Said>>,
    counts: Arc<TraceCounts>,
    url: String,
    /// Requests that failed in a row.
    failures: u32,
}

/// What the endpoint said last.
#[derive(Debug, Default, Clone)]
enum Said {
    #[default]
    Nothing,
    /// It answered with this status.
    Status(u16),
    /// It did not answer.
    Silence(String),
}

impl Exporter {
    pub(super) fn new(settled: &Settled, resource: &Resource, counts: Arc<TraceCounts>) -> Result<Self, OtlpError> {
        let last = Arc::default();
        let trust = if settled.is_secure() { Some(tls::trusting(settled.authority.as_deref())?) } else { None };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Post { last: Arc::clone(&last), trust })
            .with_endpoint(settled.url.clone())
            .with_timeout(REQUEST_MAX)
            // It would wait on the thread; trying again is done here.
            .with_retry_policy(RetryPolicy::disabled())
            .build();
        let mut exporter = exporter.map_err(|error| OtlpError::Exporter(error.to_string()))?;
        exporter.set_resource(resource);
        Ok(Self { exporter, spans: Spans::new(), last, counts, url: settled.url.clone(), failures: 0 })
    }

    /// Exports until it is to stop, and then what is left.
    pub(super) async fn run(mut self, mut traces: mpsc::Receiver<Trace>, mut stopping: oneshot::Receiver<()>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            tokio::select! {
                () = gather(&mut traces, &mut batch) => {}
                _ = &mut stopping => break,
            }
            while !batch.is_empty() && !self.settle(&mut batch).await {
                let pause = PAUSE_MIN.saturating_mul(1 << (self.failures - 1).min(8)).min(PAUSE_MAX);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = &mut stopping => return self.end(traces, batch).await,
                }
            }
        }
        self.end(traces, batch).await;
    }

    /// One try for each batch that is left.
    async fn end(mut self, mut traces: mpsc::Receiver<Trace>, mut batch: Vec<Trace>) {
        traces.close();
        loop {
            while batch.len() < BATCH_MAX
                && let Ok(trace) = traces.try_recv()
            {
                batch.push(trace);
            }
            if batch.is_empty() {
                return;
            }
            if !self.settle(&mut batch).await {
                self.counts.failed.add((batch.len() + traces.len()) as u64);
                return;
            }
        }
    }

    /// Posts a batch: whether there is nothing more to be done for it, since it is taken or refused.
    async fn settle(&mut self, batch: &mut Vec<Trace>) -> bool {
        let mut spans: Vec<SpanData> = Vec::new();
        batch.iter().for_each(|trace| self.spans.of(trace, &mut spans));
        let posted = self.exporter.export(spans).await;
        let said = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let count = batch.len() as u64;
        match posted {
            Ok(()) => {
                if self.failures > 0 {
                    tracing::info!(url = self.url, "traces are exported again");
                    self.failures = 0;
                }
                self.counts.exported.add(count);
            }
            Err(error) => {
                if self.failures == 0 {
                    let error = if let Said::Silence(why) = &said { why.clone() } else { error.to_string() };
                    tracing::warn!(
                        url = self.url,
                        error,
                        "traces cannot be exported, which is tried again without further word until it works: commands are served all the same, and traces that find no room meanwhile are dropped"
                    );
                }
                self.failures = self.failures.saturating_add(1);
                if said.may_pass() {
                    return false;
                }
                self.counts.failed.add(count);
            }
        }
        batch.clear();
        true
    }
}

impl Said {
    /// Whether the same may be taken a little later.
    fn may_pass(&self) -> bool {
        matches!(self, Self::Silence(_) | Self::Status(429 | 502 | 503 | 504))
    }
}

/// Waits for a trace, and a little for others.
async fn gather(traces: &mut mpsc::Receiver<Trace>, batch: &mut Vec<Trace>) {
    if traces.recv_many(batch, BATCH_MAX).await == 0 {
        // Nobody is left to trace anything: the end is told in another way.
        return std::future::pending().await;
    }
    let others = async {
        while batch.len() < BATCH_MAX {
            let room = BATCH_MAX - batch.len();
            if traces.recv_many(batch, room).await == 0 {
                break;
            }
        }
    };
    // Those that came stay.
    let _ = tokio::time::timeout(GATHER_MAX, others).await;
}

fn with_remedy(why: String) -> String {
    if why.contains("invalid peer certificate") { format!("{why}; {CERTIFICATE} names whom to trust") } else { why }
}

/// The way by which requests are sent.
struct Post {
    last: Arc<Mutex<Said>>,
    trust: Option<TlsConnector>,
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Post")
    }
}

impl HttpClient for Post {
    fn send_bytes<'a, 'f>(&'a self, request: Request<Bytes>) -> BoxFuture<'f, Result<Response<Bytes>, HttpError>>
    where
        'a: 'f,
        Self: 'f,
    {
        async move {
            let answer = client::send(request, self.trust.as_ref(), REQUEST_MAX).await.map_err(with_remedy);
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = match &answer {
                Ok(response) => Said::Status(response.status().as_u16()),
                Err(why) => Said::Silence(why.clone()),
            };
            answer.map_err(HttpError::from)
        }
        .boxed()
    }
}
