//! What the host makes of plugins that are put before it, told on the terminal as it happens. It
//! must not know why they are put there.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::nats_client::NatsClient;
use crate::plugin_news::{self, PluginNews};
use crate::poll::PATIENCE;
use crate::terminal::{Style, Terminal};

/// Nothing has to be done while nothing comes.
const LISTEN: Duration = Duration::from_secs(3_600);

/// Tells from now on, until the server ends.
pub(super) fn tell(url: &str) -> Result<()> {
    let mut client = NatsClient::connect(url)?;
    client.subscribe(plugin_news::SUBJECT, PATIENCE)?;
    thread::spawn(move || {
        // The end of the connection is the end of the server, which others notice and tell.
        while let Ok(told) = client.next(LISTEN) {
            if let Some(message) = told
                && let Ok(news) = PluginNews::read(&message.payload)
            {
                show(&news);
            }
        }
    });
    Ok(())
}

fn show(news: &PluginNews) {
    let terminal = Terminal::stdout();
    let (style, mark) =
        if matches!(news.what.as_str(), "live" | "retired") { (Style::Good, "✓") } else { (Style::Bad, "✗") };
    let lines = [format!("{} {}", terminal.paint(style, mark), news.headline())];
    let shown = lines.into_iter().chain(news.differences().into_iter().map(|line| format!("  {line}")));
    // A terminal that takes no more has nobody before it.
    let _ = shown.map(|line| terminal.line(&line)).collect::<Result<Vec<()>>>();
}
