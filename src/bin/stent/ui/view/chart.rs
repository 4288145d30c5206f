//! Small charts as inline SVG. Pure.

use std::fmt::Write as _;

use maud::{Markup, html};
use stent::model::Timestamp;

use crate::ui::series::Point;

const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 72.0;
/// Room above the highest point.
const TOP: f64 = 4.0;

/// Of more points than this some are left out.
const POINTS: usize = 320;

const EARLY: &str = "A line needs a few looks: it comes in a moment.";

pub struct Line<'a> {
    pub class: &'a str,
    pub name: &'a str,
    pub value: &'a dyn Fn(&Point) -> Option<f64>,
}

/// `unit`: how a value is read. `none`: what is told where no line has a value.
pub fn chart(title: &str, points: &[Point], lines: &[Line<'_>], unit: &dyn Fn(f64) -> String, none: &str) -> Markup {
    let step = points.len().div_ceil(POINTS).max(1);
    let points: Vec<&Point> = points.iter().step_by(step).collect();
    let highest =
        points.iter().flat_map(|point| lines.iter().filter_map(|line| (line.value)(point))).fold(0.0, f64::max);
    let last = |line: &Line<'_>| points.iter().rev().find_map(|point| (line.value)(point));
    let (Some(first), Some(end)) = (points.first(), points.last()) else {
        return blank(title, EARLY);
    };
    if lines.iter().all(|line| last(line).is_none()) {
        return blank(title, none);
    }
    // Points by themselves are hardly seen.
    if points.windows(2).all(|two| two[1].gap) {
        return blank(title, EARLY);
    }
    let told: Vec<String> =
        lines.iter().filter_map(|line| Some(format!("{} {}", line.name, unit(last(line)?)))).collect();
    let label = format!("{title}: now {}; at most {}", told.join(", "), unit(highest));
    html! {
        figure.chart {
            figcaption {
                span.title { (title) }
                @for line in lines {
                    @if let Some(value) = last(line) {
                        span class={ "key " (line.class) } { span.swatch aria-hidden="true" {} (line.name) " " strong { (unit(value)) } }
                    }
                }
            }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(label) {
                line.axis x1="0" x2=(WIDTH) y1=(HEIGHT - 0.5) y2=(HEIGHT - 0.5) {}
                @for line in lines { path class={ "line " (line.class) } d=(path(&points, line, highest, first.at, end.at)) {} }
            }
            div.ends aria-hidden="true" {
                (super::parts::time(first.at)) span.most { "at most " (unit(highest)) } (super::parts::time(end.at))
            }
        }
    }
}

fn blank(title: &str, told: &str) -> Markup {
    html! { figure.chart { figcaption { span.title { (title) } } div.blank { (told) } } }
}

fn path(points: &[&Point], line: &Line<'_>, highest: f64, first: Timestamp, last: Timestamp) -> String {
    let span = last.since(first).as_secs_f64().max(0.001);
    let mut path = String::new();
    let mut on = false;
    for point in points {
        let Some(value) = (line.value)(point) else {
            on = false;
            continue;
        };
        let x = point.at.since(first).as_secs_f64() / span * WIDTH;
        let share = if highest > 0.0 { value / highest } else { 0.0 };
        let y = HEIGHT - 1.0 - share * (HEIGHT - 1.0 - TOP);
        let verb = if on && !point.gap { 'L' } else { 'M' };
        let _infallible = write!(path, "{verb}{x:.1} {y:.1}");
        if verb == 'M' {
            // A point by itself is seen, too.
            let _infallible = write!(path, "l0.5 0");
        }
        on = true;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_gaps_where_nobody_looked() {
        let point = |second: i64, started: f64, gap: bool| Point {
            at: Timestamp::from_micros(second * 1_000_000),
            started,
            ended: 0.0,
            failed: 0.0,
            ready: 0,
            wait_seconds: None,
            run_seconds: None,
            gap,
        };
        let all = [point(0, 0.0, false), point(5, 10.0, false), point(10, 5.0, true)];
        let line = Line { class: "a", name: "a", value: &|point| Some(point.started) };
        let drawn = path(&all.iter().collect::<Vec<_>>(), &line, 10.0, all[0].at, all[2].at);
        assert_eq!(drawn, "M0.0 71.0l0.5 0L160.0 4.0M320.0 37.5l0.5 0");
        let unit = |value: f64| value.to_string();
        let shown = |points: &[Point], line: Line<'_>| chart("none", points, &[line], &unit, "nothing yet").0;
        let (early, filled) =
            (shown(&[], line), shown(&all, Line { class: "a", name: "a", value: &|point| Some(point.started) }));
        let apart = shown(&[all[0], all[2]], Line { class: "a", name: "a", value: &|point| Some(point.started) });
        assert!(apart.contains(EARLY) && !apart.contains("<svg"), "{apart}");
        assert!(early.contains(EARLY) && !early.contains("<svg"), "{early}");
        assert!(filled.contains("<svg") && !filled.contains("nothing yet"), "{filled}");
        let empty = shown(&all, Line { class: "a", name: "a", value: &|point| point.wait_seconds });
        assert!(empty.contains("nothing yet") && !empty.contains("<svg"), "{empty}");
    }
}
