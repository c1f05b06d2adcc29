//! Starts a shadow: the code of a component in the fleet's store decides a share of the live
//! commands beside the live code.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::loader::Loader;
use crate::domain::{Digest, Generation};
use crate::fleet::Fleet;
use crate::gate::Shadow;
use crate::name::Name;

impl Loader {
    /// Starts it and answers at once; the list tells what it sees.
    pub(super) async fn shadow(&mut self, digest: Digest, share: f64, time: Duration) -> Value {
        let host = self.status.identity().id.clone();
        match self.try_shadow(digest, share, time).await {
            Ok(domain) => json!({"host": host, "status": "ok", "message": format!("{domain} is shadowed")}),
            Err(message) => json!({"host": host, "status": "error", "message": message}),
        }
    }

    async fn try_shadow(&mut self, digest: Digest, share: f64, time: Duration) -> Result<Name, String> {
        let fleet = match &self.fleet {
            Some(fleet) => fleet.clone(),
            None => Fleet::find(&self.around.context)
                .await
                .map_err(|error| error.to_string())?
                .ok_or("there is no store of components: `agent-service plugin shadow` makes it")?,
        };
        let loaded = self.fetch(&fleet, digest).await.map_err(|error| error.to_string())?;
        let domain = loaded.plugin.description().domain.clone();
        let Some(served) = self.served.get_mut(&domain) else {
            return Err(format!("the domain {domain} is not served here, so there is nothing to shadow"));
        };
        if served.shadow.as_ref().is_some_and(|shadow| shadow.seen().state == "running") {
            return Err(format!("the domain {domain} is shadowed already"));
        }
        let candidate: Arc<dyn Generation> = Arc::new(loaded.plugin);
        let (shadow, witnessed) = Shadow::new(&*candidate, share);
        let (live, running) = (Arc::clone(&served.live), shadow.clone());
        let events = Arc::clone(&served.domain.ground.events);
        live.show_to(Some(shadow.window()));
        let (runtime, until) = (tokio::runtime::Handle::current(), Instant::now() + time);
        // A thread of its own: it may outlast whatever the host does next.
        let thread = std::thread::Builder::new().name(format!("{domain}-shadow"));
        let started = thread.spawn(move || {
            running.run(candidate, witnessed, &events, &runtime, until);
            live.show_to(None);
        });
        started.map_err(|error| format!("no thread can be had: {error}"))?;
        served.shadow = Some(shadow.clone());
        self.status.shadowed(&domain, shadow);
        Ok(domain)
    }
}
