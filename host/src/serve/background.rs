//! Work that takes the processor for long while requests are served: on a thread of its own that
//! gives way to them. Knows nothing of what the work is.

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// How far such a thread gives way: a tenth of the processor is still its own where requests would
/// take all of it, so that it comes to its end.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Does the work and returns what comes of it.
///
/// # Errors
/// [`WorkEnded`] where it ended in a panic, or there is no thread for it.
pub(super) async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, WorkEnded> {
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new().name("background".into());
    let running = thread.spawn(move || {
        give_way();
        // Whoever waited may have gone.
        let _ = done.send(work());
    });
    running.map_err(WorkEnded::NoThread)?;
    result.await.map_err(|_| WorkEnded::Panicked)
}

/// The same for work that waits for the network as well: what lives on this runtime gives way, too.
///
/// # Errors
/// [`WorkEnded`] as well where there is no runtime for it.
pub(super) async fn in_background_with_runtime<T: Send + 'static>(
    work: impl FnOnce(&Handle) -> T + Send + 'static,
) -> Result<T, WorkEnded> {
    // Its thread is as nice as the one that starts it.
    let working = in_background(move || {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("background-io").enable_all().build();
        runtime.map(|runtime| {
            let result = work(runtime.handle());
            runtime.shutdown_background();
            result
        })
    });
    working.await?.map_err(WorkEnded::NoThread)
}

/// On Linux it is the calling thread that gives way, elsewhere it would be the whole process.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "a thread cannot give way to requests");
    }
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkEnded {
    /// The work panicked.
    #[error("it ended in a panic")]
    Panicked,
    /// The system gives no thread.
    #[error("no thread can be had: {0}")]
    NoThread(std::io::Error),
}

#[cfg(test)]
mod tests {
    use super::{WorkEnded, in_background};

    #[tokio::test]
    async fn work_is_done_and_a_panic_in_it_is_told() {
        assert_eq!(in_background(|| 7).await.unwrap(), 7);
        assert!(matches!(in_background(|| panic!("on purpose")).await, Err::<(), _>(WorkEnded::Panicked)));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_the_thread_at_work_gives_way() {
        let own = || rustix::process::nice(0).unwrap();
        let before = own();
        assert_eq!(in_background(own).await.unwrap(), before + super::NICENESS);
        assert_eq!(own(), before);
    }
}
