//! The thread of a shard, with a runtime of its own that drives the shard's own connection: what
//! a command waits for arrives on the thread that waits for it, without a wake-up in between.
//!
//! The shard itself is polled beside the runtime, not on it: a plugin's calls may end up in
//! synchronous WASI, which must not run inside of an asynchronous one.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Notify, oneshot};

/// A thread that waits for its shard.
pub struct ShardThread {
    runtime: Handle,
    begin: oneshot::Sender<Begin>,
    thread: JoinHandle<()>,
}

/// What the thread does with its runtime once it begins.
type Begin = Box<dyn FnOnce(&Runtime) + Send>;

impl ShardThread {
    /// Starts the thread; it drives its runtime from now on.
    ///
    /// # Errors
    /// Where the system gives no thread or no event queue.
    pub fn start(name: &str) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (begin, beginning) = oneshot::channel::<Begin>();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _end = EndOnPanic;
            if let Ok(begin) = runtime.block_on(beginning) {
                begin(&runtime);
            }
        })?;
        Ok(Self { runtime: handle, begin, thread })
    }

    /// The thread's runtime, for as long as the thread lives.
    pub fn runtime(&self) -> Handle {
        self.runtime.clone()
    }

    /// Runs work on the thread's runtime: what it connects and spawns lives there.
    ///
    /// # Errors
    /// Where the work panics.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, tokio::task::JoinError> {
        self.runtime.spawn(work).await
    }

    /// Gives the thread its task for the rest of its life.
    pub(super) fn begin(self, task: impl FnOnce(&Runtime) + Send + 'static) -> JoinHandle<()> {
        // The thread is there until it gets something to begin with.
        let _ = self.begin.send(Box::new(task));
        self.thread
    }
}

/// Polls a future to its end beside the runtime, which runs whenever the future waits.
pub(super) fn drive(runtime: &Runtime, future: impl Future<Output = ()>) {
    let woken = Arc::new(Woken(Notify::new()));
    let waker = Waker::from(Arc::clone(&woken));
    let mut future = pin!(future);
    while future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
        runtime.block_on(async {
            let mut notified = pin!(woken.0.notified());
            if notified.as_mut().enable() {
                // Woken already: the runtime gets its turn all the same.
                tokio::task::yield_now().await;
            } else {
                notified.await;
            }
        });
    }
}

struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}

/// Ends the process when a shard panics: its aggregates would stay without an answer for as
/// long as the process lives, while another host, or this one started anew, can serve them.
struct EndOnPanic;

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a shard ended in a panic: the process ends with it, to be started anew");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_that_never_rests_leaves_the_runtime_its_turns() {
        let thread = ShardThread::start("test").expect("a thread");
        let (asked, answered) = std::sync::mpsc::channel();
        let ended = thread.begin(move |runtime| {
            let (done, mut is_done) = oneshot::channel();
            runtime.spawn(async move {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                let _ = done.send(());
            });
            drive(
                runtime,
                std::future::poll_fn(move |context| {
                    context.waker().wake_by_ref();
                    Future::poll(std::pin::Pin::new(&mut is_done), context).map(drop)
                }),
            );
            let _ = asked.send(());
        });
        assert_eq!(answered.recv(), Ok(()));
        ended.join().expect("no panic");
    }
}
