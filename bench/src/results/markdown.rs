//! The results as a page of markdown, ready for the documentation. It must not judge them.

use std::fmt::Write as _;

use super::{Bound, Goal, Results, Table, Told};

/// The whole page.
pub(crate) fn page(results: &Results) -> String {
    let mut page = String::new();
    // Writing into a string cannot fail.
    let _ = write(&mut page, results);
    page
}

fn write(page: &mut String, results: &Results) -> std::fmt::Result {
    machine(page, results)?;
    goals(page, results)?;
    results.scenarios.iter().try_for_each(|told| scenario(page, told))
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
    writeln!(page, "| length | {} |\n", results.length)
}

fn goals(page: &mut String, results: &Results) -> std::fmt::Result {
    if results.goals().next().is_none() {
        return Ok(());
    }
    if !results.speaks {
        writeln!(page, "A smoke run or an unoptimised build says nothing about the goals.\n")?;
    }
    writeln!(page, "| promise | goal | measured | | scenario |\n|---|--:|--:|---|---|")?;
    for (scenario, goal) in results.goals() {
        let met = match (results.speaks, goal.is_met()) {
            (false, _) => "not judged",
            (true, true) => "met",
            (true, false) => "**missed**",
        };
        let measured = goal.measured.text();
        let unit = goal.measured.unit.name();
        writeln!(page, "| {} | {} | {measured}{unit} | {met} | {scenario} |", goal.promise, bound(goal))?;
    }
    writeln!(page)
}

fn bound(goal: &Goal) -> String {
    let unit = goal.measured.unit;
    let words = match goal.bound {
        Bound::AtLeast(_) => "at least",
        Bound::AtMost(_) => "at most",
    };
    format!("{words} {}{}", super::Figure::once(unit, goal.bound.figure()).text(), unit.name())
}

fn scenario(page: &mut String, told: &Told) -> std::fmt::Result {
    writeln!(page, "### {}\n\n{}.\n", told.name, told.about)?;
    for told in &told.outcome.tables {
        table(page, told)?;
    }
    for note in &told.outcome.notes {
        writeln!(page, "{note}\n")?;
    }
    Ok(())
}

fn table(page: &mut String, table: &Table) -> std::fmt::Result {
    writeln!(page, "| {} |", table.head.join(" | "))?;
    let columns = table.rows.first().into_iter().flatten();
    let marks: String = columns.map(|cell| if cell.is_figure() { "--:|" } else { "---|" }).collect();
    writeln!(page, "|{marks}")?;
    for row in &table.rows {
        let cells: Vec<String> = row.iter().map(super::Cell::text).collect();
        writeln!(page, "| {} |", cells.join(" | "))?;
    }
    writeln!(page)
}
