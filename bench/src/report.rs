//! The results as a page of markdown, ready for the documentation. It must not judge them.

use std::fmt::Write as _;

use crate::results::Results;
use crate::spread::Spread;

/// The whole page.
pub(crate) fn markdown(results: &Results) -> String {
    let mut page = String::new();
    // Writing into a string cannot fail.
    let _ = write(&mut page, results);
    page
}

fn write(page: &mut String, results: &Results) -> std::fmt::Result {
    machine(page, results)?;
    commands(page, results)?;
    boundary(page, results)?;
    if results.goals.is_empty() {
        return writeln!(page, "A smoke run or an unoptimised build says nothing about the goals.");
    }
    writeln!(page, "| goal | measured | |\n|---|--:|---|")?;
    for goal in &results.goals {
        let met = if goal.met { "met" } else { "**missed**" };
        writeln!(page, "| {} | {} | {met} |", goal.promise, ratio(goal.measured))?;
    }
    Ok(())
}

fn machine(page: &mut String, results: &Results) -> std::fmt::Result {
    let m = &results.machine;
    writeln!(page, "| machine | |\n|---|---|")?;
    writeln!(page, "| processor | {}, {} cores |", m.processor, m.cores)?;
    writeln!(page, "| kernel | {} |", m.kernel)?;
    writeln!(page, "| load over the minute before | {} |", m.load_before)?;
    writeln!(page, "| nats-server | {}, file storage, default sync |", m.nats_server)?;
    writeln!(page, "| wasmtime, async-nats | {}, {} |", m.wasmtime, m.async_nats)?;
    let unoptimised = if m.unoptimised { ", without optimisation" } else { "" };
    writeln!(page, "| compiler | {}{unoptimised} |", m.rustc)?;
    let length = if results.smoke {
        "a smoke run".to_owned()
    } else {
        format!("{} rounds of {} s per figure", results.rounds, results.seconds)
    };
    writeln!(page, "| length | {length} |\n")
}

fn commands(page: &mut String, results: &Results) -> std::fmt::Result {
    writeln!(
        page,
        "| in flight | who answers | median µs | p99 µs | commands/s | median to bare | throughput to bare | processor µs per command: client + server + responder |"
    )?;
    writeln!(page, "|--:|---|--:|--:|--:|--:|--:|--:|")?;
    for line in &results.lines {
        let processor = line.processor_us.map_or_else(
            || "unknown".to_owned(),
            |us| format!("{:.1} + {:.1} + {:.1}", us.client, us.server, us.responder),
        );
        writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} | {processor} |",
            line.in_flight,
            line.contender.name(),
            whole(line.median_us),
            whole(line.p99_us),
            whole(line.per_second),
            ratio(line.median_to_bare),
            ratio(line.per_second_to_bare),
        )?;
    }
    writeln!(page)
}

fn boundary(page: &mut String, results: &Results) -> std::fmt::Result {
    writeln!(
        page,
        "| state of the agent, B | decide + evolve in the component, µs | to the smallest | natively, µs |"
    )?;
    writeln!(page, "|--:|--:|--:|--:|")?;
    for line in &results.boundary {
        writeln!(
            page,
            "| {} | {} | {} | {} |",
            line.state_bytes,
            ratio(line.component_us),
            ratio(line.to_smallest),
            ratio(line.native_us)
        )?;
    }
    writeln!(page)
}

/// Median and spread without a fraction.
fn whole(spread: Spread) -> String {
    let Spread { median, min, max } = spread;
    format!("{} ({} – {})", thousands(median), thousands(min), thousands(max))
}

/// Median and spread with two digits behind the point.
fn ratio(spread: Spread) -> String {
    let Spread { median, min, max } = spread;
    format!("{median:.2} ({min:.2} – {max:.2})")
}

/// Rounded, with a comma between groups of three digits.
fn thousands(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{ratio, thousands, whole};
    use crate::spread::Spread;

    #[test]
    fn figures_are_readable() {
        for (figure, text) in [(7.4, "7"), (999.6, "1,000"), (12_345.0, "12,345"), (1_234_567.0, "1,234,567")] {
            assert_eq!(thousands(figure), text);
        }
        let spread = Spread { median: 1_234.5, min: 0.0, max: 9_999.0 };
        assert_eq!(whole(spread), "1,234 (0 – 9,999)");
        assert_eq!(ratio(Spread { median: 1.0, min: 0.5, max: 1.25 }), "1.00 (0.50 – 1.25)");
    }
}
