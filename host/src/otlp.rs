//! Exports traces over OTLP: which commands are sampled, and the queue that traces wait in. Off unless an
//! endpoint is set. It must not know how a command is served.

mod export;
mod setting;
mod spans;
mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Config, SamplingDecision};
use tokio::sync::{mpsc, oneshot};

use self::export::Exporter;
pub use self::setting::OtlpError;
use crate::metrics::TraceCounts;
use crate::name::SERVICE;
use crate::trace::{Trace, TraceContext, Tracer};

/// Traces that wait for their export; with the parts of a plain command, some megabytes.
const QUEUE_MAX: usize = 4_096;
/// How long the last traces may take once the host has stopped; all of stopping may take ten seconds.
const FLUSH_MAX: Duration = Duration::from_millis(1_500);

/// A running export.
pub struct Otlp {
    tracer: Arc<Sampling>,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
    // The process ends without it where it does not end in time.
    _thread: JoinHandle<()>,
}

impl Otlp {
    /// Starts to export to this base URL; `None` where the environment switches the SDK off.
    ///
    /// # Errors
    /// [`OtlpError`] names what of the environment is wrong.
    pub fn start(endpoint: &str, counts: Arc<TraceCounts>) -> Result<Option<Self>, OtlpError> {
        let Some(settled) = setting::settled(endpoint, |name| std::env::var(name).ok())? else { return Ok(None) };
        // The sampler is as the environment has it.
        let config = Config::default();
        let exporter = Exporter::new(&settled, &resource(&config), Arc::clone(&counts))?;
        let (sender, traces) = mpsc::channel(QUEUE_MAX);
        let (stop, stopping) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(OtlpError::Thread)?;
        // Encoding takes the processor, and keeps no request waiting there.
        let thread = std::thread::Builder::new().name("otlp".into()).spawn(move || {
            runtime.block_on(exporter.run(traces, stopping));
            // Nobody may wait for it any more.
            let _ = end.send(());
        });
        let thread = thread.map_err(OtlpError::Thread)?;
        tracing::info!(endpoint = settled.url, "traces are exported over OTLP");
        let tracer = Arc::new(Sampling { config, queue: sender, counts, told_full: AtomicBool::new(false) });
        Ok(Some(Self { tracer, stop, ended, _thread: thread }))
    }

    /// Where traces go in.
    pub fn tracer(&self) -> Arc<dyn Tracer> {
        Arc::clone(&self.tracer) as Arc<dyn Tracer>
    }

    /// Exports what is left, for a short while.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        if tokio::time::timeout(FLUSH_MAX, self.ended).await.is_err() {
            tracing::warn!("the last traces may not have been exported: the OTLP endpoint does not take them in time");
        }
    }
}

/// What all spans have in common: what the environment says, and what it leaves open.
fn resource(config: &Config) -> Resource {
    let given = config.resource.as_ref();
    let named = |key: &'static str| given.get(&key.into()).map(|value| value.to_string());
    let mut builder = Resource::builder();
    if named("service.name").is_none_or(|name| name.starts_with("unknown_service")) {
        builder = builder.with_service_name(SERVICE);
    }
    if named("service.version").is_none() {
        builder = builder.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    }
    builder.build()
}

/// Decides which commands are traced, and lets traces wait for their export.
struct Sampling {
    config: Config,
    queue: mpsc::Sender<Trace>,
    counts: Arc<TraceCounts>,
    told_full: AtomicBool,
}

impl Tracer for Sampling {
    fn sample(&self, parent: Option<&TraceContext>) -> Option<TraceContext> {
        let Config { sampler, id_generator, .. } = &self.config;
        let (context, trace_id) = match parent {
            None => (Context::new(), id_generator.new_trace_id()),
            Some(parent) => (Context::new().with_remote_span_context(remote(parent)), trace_id(parent)),
        };
        let sampled = sampler.should_sample(Some(&context), trace_id, "command", &SpanKind::Server, &[], &[]);
        (sampled.decision == SamplingDecision::RecordAndSample).then(|| {
            let span_id = id_generator.new_span_id().to_bytes();
            match parent {
                None => TraceContext::root(trace_id.to_bytes(), span_id),
                Some(parent) => parent.recorded_as(span_id),
            }
        })
    }

    fn finish(&self, trace: Trace) {
        match self.queue.try_send(trace) {
            Ok(()) => self.told_full.store(false, Ordering::Relaxed),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.counts.dropped.add(1);
                if !self.told_full.swap(true, Ordering::Relaxed) {
                    tracing::debug!(traces = QUEUE_MAX, "traces are dropped: so many wait for their export already");
                }
            }
            // The host has stopped.
            Err(mpsc::error::TrySendError::Closed(_)) => self.counts.failed.add(1),
        }
    }
}

fn trace_id(context: &TraceContext) -> TraceId {
    TraceId::from_bytes(context.trace_id)
}

fn remote(context: &TraceContext) -> SpanContext {
    let (span_id, flags) = (SpanId::from_bytes(context.span_id), TraceFlags::new(context.flags));
    SpanContext::new(trace_id(context), span_id, flags, true, TraceState::NONE)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use opentelemetry_sdk::trace::Sampler;

    use super::*;
    use crate::trace::Subject;

    fn sampling(sampler: Sampler) -> (Sampling, mpsc::Receiver<Trace>) {
        let (queue, traces) = mpsc::channel(1);
        let mut config = Config::default();
        config.sampler = Box::new(sampler);
        (Sampling { config, queue, counts: Arc::default(), told_full: AtomicBool::new(false) }, traces)
    }

    fn by_parent() -> Sampler {
        Sampler::ParentBased(Box::new(Sampler::AlwaysOn))
    }

    #[test]
    fn traces_that_find_no_room_are_dropped_and_counted() {
        let (sampling, mut traces) = sampling(by_parent());
        let context = sampling.sample(None).expect("sampled");
        let trace = Trace::new(context, None, Subject::of_a_counter(), Instant::now());
        for _ in 0..3 {
            sampling.finish(trace.clone());
        }
        assert_eq!(sampling.counts.dropped.get(), 2);
        assert!(traces.try_recv().is_ok() && traces.try_recv().is_err());
        drop(traces);
        sampling.finish(trace);
        assert_eq!((sampling.counts.dropped.get(), sampling.counts.failed.get()), (2, 1));
    }

    #[test]
    fn the_clients_flag_decides_and_the_trace_goes_on() {
        let (sampling, _traces) = sampling(by_parent());
        let parent = |flags| TraceContext { trace_id: [1; 16], span_id: [2; 8], flags };
        assert_eq!(sampling.sample(Some(&parent(0))), None);
        let sampled = sampling.sample(Some(&parent(3))).expect("sampled");
        assert_eq!((sampled.trace_id, sampled.flags), ([1; 16], 3));
        assert_ne!(sampled.span_id, [2; 8]);
        let (first, second) = (sampling.sample(None).expect("sampled"), sampling.sample(None).expect("sampled"));
        assert_ne!(first.trace_id, second.trace_id);
    }

    #[test]
    fn a_share_of_the_traces_is_the_same_share_for_every_host() {
        let ((one, _), (other, _)) =
            (sampling(Sampler::TraceIdRatioBased(0.5)), sampling(Sampler::TraceIdRatioBased(0.5)));
        let sampled = |host: &Sampling, n: u8| {
            let parent = TraceContext { trace_id: [n; 16], span_id: [2; 8], flags: 0 };
            host.sample(Some(&parent)).is_some()
        };
        let by_one: Vec<bool> = (1..=u8::MAX).map(|n| sampled(&one, n)).collect();
        assert!(by_one.contains(&true) && by_one.contains(&false));
        assert_eq!(by_one, (1..=u8::MAX).map(|n| sampled(&other, n)).collect::<Vec<_>>());
    }
}
