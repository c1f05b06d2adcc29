//! Work that waits for a connection, polled by whoever waits for it: what the connection's runtime drives
//! is found there, and no task of its own is woken in between.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

/// A future that is polled in the context of a runtime, on any thread.
pub(super) struct OnRuntime<F> {
    runtime: Handle,
    future: Pin<Box<F>>,
}

impl<F: Future> OnRuntime<F> {
    /// `runtime` is the one that drives the connection.
    pub(super) fn new(runtime: Handle, future: F) -> Self {
        Self { runtime, future: Box::pin(future) }
    }
}

impl<F: Future> Future for OnRuntime<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let _timers_and_tasks = this.runtime.enter();
        this.future.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timers_of_the_runtime_are_had_on_a_thread_without_one() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build();
        let runtime = runtime.expect("a runtime");
        let waiting = async { tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>()).await };
        let waited = futures::executor::block_on(OnRuntime::new(runtime.handle().clone(), waiting));
        assert!(waited.is_err());
    }
}
