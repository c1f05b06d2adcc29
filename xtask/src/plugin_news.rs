//! What a host tells of its plugins, in words for people. It must not know who reads them.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// All that hosts tell, of whatever plugin.
pub(crate) const SUBJECT: &str = "agent-service.events.*.*";

/// Something that happened to a plugin.
#[derive(Debug)]
pub(crate) struct PluginNews {
    /// `live`, `refused`, `rolled_back`, `retired`.
    pub(crate) what: String,
    domain: Option<String>,
    pub(crate) detail: Value,
}

impl PluginNews {
    /// Reads what was published.
    pub(crate) fn read(payload: &[u8]) -> Result<Self> {
        let told: Value = serde_json::from_slice(payload).context("a host tells of its plugins in no JSON")?;
        let text = |name: &str| told[name].as_str().map(str::to_owned);
        let Some(what) = text("what") else { bail!("a host tells of its plugins, but not what happened: {told}") };
        Ok(Self { what, domain: text("domain"), detail: told["detail"].clone() })
    }

    /// What happened, in one line.
    pub(crate) fn headline(&self) -> String {
        let (plugin, why) = (self.plugin(), self.text("why"));
        match self.what.as_str() {
            "live" => format!("{plugin} is live, activation {}{}", self.detail["activation"], self.compared()),
            "refused" => format!("{plugin} is refused: {}", why.unwrap_or("the service does not say why")),
            "rolled_back" => format!("{plugin} is put back: {}", why.unwrap_or("somebody asked for it")),
            "retired" => format!("{plugin} is served no more: its file is gone"),
            other => format!("{plugin}: {other}"),
        }
    }

    /// Which plugin: domain and version where they are known, else the file's name.
    pub(crate) fn plugin(&self) -> String {
        // `<name>/<version>;sha256=<hex>`
        let live =
            self.text("plugin").and_then(|plugin| plugin.split(';').next()).map(|plugin| plugin.replace('/', " "));
        let file = || self.text("origin").and_then(|origin| origin.rsplit('/').next()).map(str::to_owned);
        let domain = || match (&self.domain, self.text("version")) {
            (Some(domain), Some(version)) => Some(format!("{domain} {version}")),
            (domain, _) => domain.clone(),
        };
        live.or_else(domain).or_else(file).unwrap_or_else(|| "a plugin".to_owned())
    }

    /// The aggregates that the refused version takes for something else, place by place.
    pub(crate) fn differences(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for difference in list(&self.detail["report"]["differences"]) {
            lines.push(format!("{}, which parts at {}:", plain(&difference["aggregate"]), event(difference)));
            for place in list(&difference["places"]) {
                let shown = |side: &str| place[side].as_str().unwrap_or("nothing").to_owned();
                lines.push(format!("  {}", plain(&place["path"])));
                lines.push(format!("  - {}   as the live version sees it", shown("live")));
                lines.push(format!("  + {}   as the new version would see it", shown("candidate")));
            }
        }
        for failing in list(&self.detail["report"]["failures"]) {
            lines.push(format!("{}, on which it fails at {}:", plain(&failing["aggregate"]), event(failing)));
            lines.push(format!("  {}", plain(&failing["why"])));
        }
        lines
    }

    /// What the service has looked at before.
    fn compared(&self) -> String {
        let (verdict, compared) = (&self.detail["report"]["verdict"], &self.detail["report"]["compared"]);
        match verdict.as_str() {
            Some("same") => {
                let (events, aggregates) = (&compared["events"], &compared["aggregates"]);
                format!("; to it, {events} recorded events of {aggregates} aggregates mean what they meant before")
            }
            Some("different") => "; that it reads what is recorded in another way is wanted".to_owned(),
            _ => String::new(),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.detail[name].as_str()
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn event(of: &Value) -> String {
    format!("version {}, the event \"{}\"", of["version"], plain(&of["event"]))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::PluginNews;

    fn news(told: &Value) -> PluginNews {
        PluginNews::read(told.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_went_live_is_told_with_what_was_compared() {
        let detail = json!({"activation": 2, "plugin": "counter/0.1.1;sha256=ab", "before": null,
            "report": {"verdict": "same", "compared": {"aggregates": 4, "events": 120}}});
        let news = news(&json!({"what": "live", "domain": "counter", "detail": detail}));
        assert_eq!(
            news.headline(),
            "counter 0.1.1 is live, activation 2; to it, 120 recorded events of 4 aggregates mean what they meant before"
        );
        assert!(news.differences().is_empty());
    }

    #[test]
    fn a_refusal_shows_where_the_versions_part() {
        let places = json!([{"path": "/count", "live": "2", "candidate": "3"}]);
        let difference = json!({"aggregate": "visitors", "version": 1, "event": "incremented", "places": places});
        let detail = json!({"origin": "/p/counter.wasm", "version": "0.1.2", "why": "it differs",
            "report": {"differences": [difference]}});
        let news = news(&json!({"what": "refused", "domain": "counter", "detail": detail}));
        assert_eq!(news.headline(), "counter 0.1.2 is refused: it differs");
        assert_eq!(
            news.differences(),
            [
                "visitors, which parts at version 1, the event \"incremented\":",
                "  /count",
                "  - 2   as the live version sees it",
                "  + 3   as the new version would see it",
            ]
        );
    }

    #[test]
    fn a_failure_is_told_with_the_event() {
        let failing = json!({"aggregate": "visitors", "version": 3, "event": "was_reset", "why": "unknown event"});
        let detail =
            json!({"origin": "/p/counter.wasm", "version": "2", "why": "it fails", "report": {"failures": [failing]}});
        let news = news(&json!({"what": "refused", "domain": "counter", "detail": detail}));
        assert_eq!(
            news.differences(),
            ["visitors, on which it fails at version 3, the event \"was_reset\":", "  unknown event"]
        );
    }

    #[test]
    fn a_file_without_a_domain_is_named_itself() {
        let detail = json!({"origin": "/p/new.wasm", "domain": null, "why": "it is empty", "report": null});
        assert_eq!(
            news(&json!({"what": "refused", "domain": null, "detail": detail})).headline(),
            "new.wasm is refused: it is empty"
        );
        assert!(PluginNews::read(b"{}").is_err());
    }
}
