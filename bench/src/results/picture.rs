//! The goals as a picture: one bar each, as long as the measured figure is to its goal. It must not
//! know where figures come from.

use std::fmt::Write as _;

use super::{Bound, Goal, Results};

const WIDTH: f64 = 1_040.0;
const LABEL_WIDTH: f64 = 470.0;
const FIGURE_WIDTH: f64 = 190.0;
const ROW_HEIGHT: f64 = 24.0;
const BAR_HEIGHT: f64 = 12.0;
const TOP: f64 = 72.0;
/// Where the line of the goal stands on the way from no bar to the longest one.
const GOAL_AT: f64 = 0.5;
/// Characters that a label has room for.
const LABEL_CHARS_MAX: usize = 68;

const STYLE: &str = "\
svg { color: #1f2328; font: 12px system-ui, sans-serif; }
.ground { fill: #fff; }
text { fill: currentColor; }
.title { font-weight: 600; font-size: 14px; }
.faint { opacity: .7; }
.met { fill: #2da44e; }
.missed { fill: #cf222e; }
.unjudged { fill: #6e7781; }
.line { stroke: currentColor; stroke-width: 1.5; stroke-dasharray: 4 3; }
.spread { stroke: currentColor; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  svg { color: #e6edf3; }
  .ground { fill: #0d1117; }
  .met { fill: #3fb950; }
  .missed { fill: #f85149; }
  .unjudged { fill: #8b949e; }
}
";

/// The picture of a run.
pub(super) fn svg(results: &Results) -> String {
    let goals: Vec<&Goal> = results.goals().map(|(_, goal)| goal).collect();
    let height = TOP + ROW_HEIGHT * goals.len() as f64 + 16.0;
    let mut picture = String::new();
    // Writing into a string cannot fail.
    let _ = draw(&mut picture, results, &goals, height);
    picture
}

fn draw(picture: &mut String, results: &Results, goals: &[&Goal], height: f64) -> std::fmt::Result {
    writeln!(
        picture,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">"#
    )?;
    writeln!(picture, "<style>{STYLE}</style>")?;
    writeln!(picture, r#"<rect class="ground" width="{WIDTH}" height="{height}"/>"#)?;
    let (processor, length) = (escaped(&results.machine.processor), escaped(&results.length));
    writeln!(picture, r#"<text class="title" x="12" y="22">What is measured, held against its goal</text>"#)?;
    let line = x_of(1.0);
    writeln!(picture, r#"<text class="faint" x="12" y="40">{processor}, {length}</text>"#)?;
    writeln!(
        picture,
        r#"<text class="faint" x="12" y="58">the median as a bar, the spread at its end; ≥ is to reach its goal, ≤ to stay before it</text>"#
    )?;
    writeln!(picture, r#"<text class="faint" x="{line}" y="58" text-anchor="middle">goal</text>"#)?;
    for (nth, goal) in goals.iter().enumerate() {
        row(picture, goal, results.speaks, TOP + ROW_HEIGHT * nth as f64)?;
    }
    let bottom = height - 8.0;
    writeln!(picture, r#"<line class="line" x1="{line}" y1="62" x2="{line}" y2="{bottom}"/>"#)?;
    writeln!(picture, "</svg>")
}

fn row(picture: &mut String, goal: &Goal, speaks: bool, y: f64) -> std::fmt::Result {
    let class = match (speaks, goal.is_met()) {
        (false, _) => "unjudged",
        (true, true) => "met",
        (true, false) => "missed",
    };
    let to_goal = |figure: f64| figure / goal.bound.figure();
    let spread = goal.measured.spread;
    let (end, least, greatest) = (x_of(to_goal(spread.median)), x_of(to_goal(spread.min)), x_of(to_goal(spread.max)));
    let (bar, middle, text) = (y + 4.0, y + 4.0 + BAR_HEIGHT / 2.0, y + 14.5);
    let better = match goal.bound {
        Bound::AtLeast(_) => "≥",
        Bound::AtMost(_) => "≤",
    };
    let unit = goal.measured.unit;
    let once = |figure: f64| super::Figure::once(unit, figure).text();
    let label = escaped(&shortened(&goal.promise.replace('`', "")));
    writeln!(picture, r#"<text x="{:.1}" y="{text}" text-anchor="end">{label}</text>"#, LABEL_WIDTH - 8.0)?;
    writeln!(
        picture,
        r#"<rect class="{class}" x="{LABEL_WIDTH}" y="{bar}" width="{:.1}" height="{BAR_HEIGHT}" rx="2"/>"#,
        end - LABEL_WIDTH
    )?;
    writeln!(picture, r#"<line class="spread" x1="{least:.1}" y1="{middle}" x2="{greatest:.1}" y2="{middle}"/>"#)?;
    writeln!(
        picture,
        r#"<text x="{:.1}" y="{text}" text-anchor="end">{}{} (goal {better} {})</text>"#,
        WIDTH - 8.0,
        once(spread.median),
        unit.name(),
        once(goal.bound.figure()),
    )
}

/// Where a figure stands that is so many times its goal: twice and more at the end.
fn x_of(to_goal: f64) -> f64 {
    let room = WIDTH - LABEL_WIDTH - FIGURE_WIDTH - 12.0;
    LABEL_WIDTH + room * (to_goal * GOAL_AT).clamp(0.0, 1.0)
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= LABEL_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(LABEL_CHARS_MAX - 1).chain(['…']).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{escaped, shortened, x_of};

    #[test]
    fn bars_stay_inside_and_grow() {
        assert!(x_of(0.0) < x_of(0.5) && x_of(0.5) < x_of(1.0) && x_of(1.0) < x_of(1.9));
        assert_eq!(x_of(2.0), x_of(1e9));
    }

    #[test]
    fn labels_are_text_that_fits() {
        assert_eq!(escaped("a < b & c"), "a &lt; b &amp; c");
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"x".repeat(200)).chars().count(), super::LABEL_CHARS_MAX);
    }
}
