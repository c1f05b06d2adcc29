//! What a host looks at soon after it serves: the checks of `doctor` that need nothing beyond what it has.
//! Each that is not well is a line in the log. Beside serving, and on a thread of its own, since a
//! disk may keep it waiting.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Surroundings;
use crate::doctor::{self, Grade};

/// What waits for a host to start comes first.
const AFTER: Duration = Duration::from_secs(1);
/// How long all of it may take: some dozens of small questions to JetStream.
const TIME_MAX: Duration = Duration::from_secs(60);

/// Begins to look, and ends early where the host stops.
pub(super) fn begin(around: &Arc<Surroundings>, mut stop: watch::Receiver<bool>) -> JoinHandle<()> {
    let (around, runtime) = (Arc::clone(around), Handle::current());
    tokio::task::spawn_blocking(move || {
        runtime.block_on(async {
            tokio::select! {
                () = async { tokio::time::sleep(AFTER).await; look(&around).await } => {}
                _ = stop.wait_for(|stopped| *stopped) => {}
            }
        });
    })
}

async fn look(around: &Surroundings) {
    let domains = around.served.borrow().to_vec();
    let (client, context) = (around.client.clone(), around.context.clone());
    let looking = doctor::at_start(&around.connection, &around.service, client, context, domains);
    let Ok(findings) = tokio::time::timeout(TIME_MAX, looking).await else {
        tracing::debug!("the look at settings, streams and machine took too long and was given up");
        return;
    };
    for finding in findings {
        let (check, about, remedy) =
            (finding.check, finding.about.unwrap_or_default(), finding.remedy.unwrap_or_default());
        match finding.grade {
            Grade::Ok | Grade::Skipped => tracing::debug!(check, about, "{}", finding.seen),
            Grade::Warning => tracing::warn!(check, about, remedy, "{}", finding.seen),
            Grade::Failure => tracing::error!(check, about, remedy, "{}", finding.seen),
        }
    }
}
