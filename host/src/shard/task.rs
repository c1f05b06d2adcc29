//! What one aggregate is given to do, how it does it, and what the shard is told then. Knows nothing of
//! who is next.

use std::rc::Rc;

use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;

use super::Job;
use super::live::Live;
use super::orders::Cover;
use super::pipeline::Pipeline;
use super::traced;
use crate::metrics::Stage;
use crate::name::AggregateId;

/// What one aggregate is given to do.
#[expect(clippy::large_enum_variant, reason = "nearly all are requests, and a box would be an allocation for each")]
pub(super) enum Task {
    /// A request.
    Serve(Job),
    /// To leave a snapshot.
    Cover(Cover),
    /// To have its changes saved while nobody waits for it.
    Save,
}

/// What a shard has begun and waits for.
pub(super) type Running = FuturesUnordered<LocalBoxFuture<'static, Finished>>;

/// An aggregate that is done with what it was given.
pub(super) struct Finished {
    pub(super) id: AggregateId,
    pub(super) live: Option<Live>,
    pub(super) done: Done,
}

/// What an aggregate has done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// What it was asked.
    Asked,
    /// A snapshot was written behind, or could not be.
    Saved,
    /// It was on its way out of memory.
    Left,
}

/// Does one task.
pub(super) async fn work(pipeline: Rc<Pipeline>, id: AggregateId, mut live: Option<Live>, task: Task) -> Finished {
    match task {
        Task::Serve(mut job) => match pipeline.begin_trace(&mut job) {
            None => serve(&pipeline, &id, &mut live, job).await,
            // Boxed, so that the future of a command that is not traced is no larger for it.
            Some(trace) => Box::pin(traced::serve(&pipeline, &id, &mut live, job, trace)).await,
        },
        Task::Cover(Cover { through, told }) => {
            let covered = pipeline.cover(&mut live, &id, through).await;
            // Who ordered it may have gone.
            let _ = told.send(covered);
        }
        Task::Save => {
            if let Some(live) = live.as_mut() {
                pipeline.save_or_warn(&id, live).await;
            }
            return Finished { id, live, done: Done::Saved };
        }
    }
    Finished { id, live, done: Done::Asked }
}

/// Serves one request, replies, applies what it stored, then takes the snapshot that is due.
pub(super) async fn serve(pipeline: &Pipeline, id: &AggregateId, live: &mut Option<Live>, job: Job) {
    pipeline.passed(Stage::Queue, job.arrived.elapsed());
    let reply = pipeline.serve(live, &job.request).await;
    pipeline.reply(job, reply).await;
    pipeline.apply_stored(id, live);
    if let Some(live) = live.as_mut()
        && pipeline.snapshot_due(live)
    {
        pipeline.save_or_warn(id, live).await;
    }
}
