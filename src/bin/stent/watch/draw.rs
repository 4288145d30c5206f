//! What the view looks like: lines of text, as many as there is room for.

use std::collections::BTreeMap;
use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use stent::backend::Pause;
use stent::model::{DeadLetter, Execution, ExecutionState};
use unicode_width::UnicodeWidthStr as _;

use super::look::{List, Seen};
use super::sample::Spread;
use super::view::View;
use crate::marks;
use crate::screen::Colour;
use crate::words::{self, cut, several};

/// Queues that are shown, the fullest first.
const QUEUES: usize = 5;

pub fn draw(frame: &mut Frame<'_>, view: &View) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    frame.render_widget(Paragraph::new(top(view, head.width)), head);
    frame.render_widget(Paragraph::new(bottom(view)), foot);
    let Some(seen) = &view.seen else {
        frame.render_widget(Paragraph::new("Looking…"), body);
        return;
    };
    match view.detail {
        None => overview(frame, body, view, seen),
        Some(_) => {
            let lines = seen.detail.as_ref().map(|(_, lines)| lines.as_slice()).unwrap_or_default();
            let shown: Vec<Line<'_>> = lines.iter().skip(view.from).map(|line| line.as_str().into()).collect();
            frame.render_widget(Paragraph::new(shown), body);
        }
    }
}

fn style(view: &View, colour: Colour) -> Style {
    let style = Style::default();
    if !view.colours {
        return style;
    }
    match colour {
        Colour::Good => style.fg(Color::Green),
        Colour::Bad => style.fg(Color::Red),
        Colour::Busy => style.fg(Color::Yellow),
        Colour::Dim => style.add_modifier(Modifier::DIM),
        Colour::Head => style.add_modifier(Modifier::BOLD),
    }
}

fn top<'a>(view: &'a View, width: u16) -> Line<'a> {
    let paused = if view.is_paused() { "  (paused)" } else { "" };
    let room = usize::from(width).saturating_sub("stent watch  ".len() + paused.len());
    Line::from(vec![
        Span::styled("stent watch  ", style(view, Colour::Head)),
        Span::raw(cut(&words::visible(&view.store), room)),
        Span::styled(paused, style(view, Colour::Busy)),
    ])
}

fn bottom(view: &View) -> Line<'_> {
    if let Some(why) = &view.trouble {
        return Line::styled(format!("The store did not answer: {}", words::visible(why)), style(view, Colour::Bad));
    }
    let keys = match view.detail {
        None => "↑↓ choose  ⏎ look into it  ⇥ all, running, failed  p pause  r look now  q quit",
        Some(_) => "esc back  ↑↓ move  p pause  r look now  q quit",
    };
    Line::styled(keys, style(view, Colour::Dim))
}

fn overview(frame: &mut Frame<'_>, area: Rect, view: &View, seen: &Seen) {
    let (facts, queues, letters) = (facts(view, seen), queues(view, seen), letters(view, &seen.letters));
    let [first, second, tabs, list, last] = Layout::vertical([
        Constraint::Length(facts.len() as u16 + 1),
        Constraint::Length(queues.len() as u16 + 1),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(letters.len() as u16 + 1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(facts), first);
    frame.render_widget(Paragraph::new(queues), second);
    frame.render_widget(Paragraph::new(choices(view)), tabs);
    frame.render_widget(Paragraph::new(executions(view, seen, usize::from(list.height))), list);
    frame.render_widget(Paragraph::new(letters), last);
}

fn facts(view: &View, seen: &Seen) -> Vec<Line<'static>> {
    let stats = &seen.stats;
    let counts = ExecutionState::WORDS
        .iter()
        .filter_map(|word| stats.executions.get(word).map(|count| format!("{word} {}", words::number(*count))));
    let counts = counts.collect::<Vec<_>>().join("  ");
    let rates = seen.rates.map_or_else(
        || "after the second look".to_owned(),
        |rates| format!("started {:.1}/s  ended {:.1}/s  failed {:.1}/s", rates.started, rates.ended, rates.failed),
    );
    let times = |spread: Option<Spread>| {
        spread.map_or_else(
            || "-".to_owned(),
            |spread| format!("{} (95%: {})", words::duration(spread.middle), words::duration(spread.most)),
        )
    };
    let latency = format!("begun after {}  ran {}  of the last {}", times(seen.begun), times(seen.ran), seen.measured);
    let held: u64 = seen.registered.workers.iter().map(|worker| worker.running).sum();
    let workers = several(seen.registered.workers.len() as u64, "worker");
    let tasks = format!(
        "{workers}, {} held  scheduled {}  parked {}  dead letters {}",
        several(held, "task"),
        words::number(stats.scheduled),
        words::number(stats.parked),
        words::number(stats.dead_letters)
    );
    let counts = if counts.is_empty() { "none".to_owned() } else { counts };
    let line = |name: &str, text: String| format!("{name:<11} {text}");
    let all = [("executions", counts), ("rates", rates), ("latency", latency), ("work", tasks)];
    let mut lines = all.map(|(name, text)| Line::raw(line(name, text))).to_vec();
    let paused: Vec<String> = seen.registered.pauses.iter().map(paused).collect();
    if !paused.is_empty() {
        lines.push(Line::styled(line("paused", paused.join("  ")), style(view, Colour::Bad)));
    }
    lines
}

/// `queue mail (2m03s ago)`.
fn paused(pause: &Pause) -> String {
    let (kind, name) = match (&pause.queue, &pause.function) {
        (Some(queue), _) => ("queue", queue.as_str()),
        (None, function) => ("function", function.as_deref().unwrap_or_default()),
    };
    format!("{kind} {} ({})", cut(&words::visible(name), 40), words::age(pause.since))
}

fn queues(view: &View, seen: &Seen) -> Vec<Line<'static>> {
    let mut queues: BTreeMap<Option<&str>, (u64, Duration)> = BTreeMap::new();
    for depth in &seen.registered.ready {
        let queue = queues.entry(depth.queue.as_deref()).or_default();
        *queue = (queue.0 + depth.count, queue.1.max(depth.oldest));
    }
    let mut queues: Vec<_> = queues.into_iter().collect();
    queues.sort_by_key(|(_, (ready, _))| std::cmp::Reverse(*ready));
    let shown = queues.iter().take(QUEUES).map(|(name, (ready, oldest))| {
        let name = name.map_or_else(|| "(none)".to_owned(), words::visible);
        vec![plain(cut(&name, 40)), plain(words::number(*ready)), plain(words::duration(*oldest))]
    });
    let mut rows: Vec<Vec<Part>> = shown.collect();
    if rows.is_empty() {
        return vec![Line::styled("Nothing is ready and waits for a worker.", style(view, Colour::Dim))];
    }
    rows.insert(0, ["QUEUE", "READY", "OLDEST"].map(|head| (head.to_owned(), Some(Colour::Head))).to_vec());
    columns(view, &rows)
}

fn choices(view: &View) -> Line<'static> {
    let named = [(List::All, "all"), (List::Running, "running"), (List::Failed, "failed")];
    let mut spans = vec![Span::styled("EXECUTIONS  ", style(view, Colour::Head))];
    for (list, name) in named {
        let text = if list == view.list { format!("[{name}] ") } else { format!(" {name}  ") };
        spans.push(Span::raw(text));
    }
    Line::from(spans)
}

/// So many that the chosen one is among them.
fn executions(view: &View, seen: &Seen, height: usize) -> Vec<Line<'static>> {
    if seen.executions.is_empty() {
        return vec![Line::styled("  None.", style(view, Colour::Dim))];
    }
    let from = (view.chosen + 1).saturating_sub(height);
    let shown = seen.executions.iter().enumerate().skip(from).take(height);
    let rows: Vec<Vec<Part>> = shown.map(|(place, execution)| row(execution, place == view.chosen)).collect();
    columns(view, &rows)
}

fn row(execution: &Execution, chosen: bool) -> Vec<Part> {
    let end = execution.completed_at.unwrap_or_else(words::now);
    let took = execution.started_at.map(|started| words::duration(end.since(started))).unwrap_or_default();
    let outcome = match (&execution.error, &execution.result) {
        (Some(failure), _) => words::failure(failure),
        (None, Some(result)) => words::payload(result),
        (None, None) => String::new(),
    };
    let colour = marks::of_execution(execution.state);
    vec![
        plain(format!("{} {}", if chosen { ">" } else { " " }, execution.id)),
        plain(cut(&words::visible(&execution.root_function), 24)),
        (execution.state.as_str().to_owned(), colour),
        plain(words::age(execution.created_at)),
        plain(took),
        plain(outcome),
    ]
}

fn letters(view: &View, letters: &[DeadLetter]) -> Vec<Line<'static>> {
    let row = |letter: &DeadLetter| {
        let why = letter.task.error.as_ref().map_or_else(|| words::visible(&letter.reason), words::failure);
        vec![
            (cut(&words::visible(&letter.task.step_name), 24), Some(Colour::Bad)),
            plain(words::age(letter.moved_at)),
            plain(why),
        ]
    };
    let rows: Vec<Vec<Part>> = letters.iter().map(row).collect();
    let mut lines = columns(view, &rows);
    if !lines.is_empty() {
        lines.insert(0, Line::styled("DEAD LETTERS", style(view, Colour::Head)));
        lines.insert(0, Line::raw(""));
    }
    lines
}

type Part = (String, Option<Colour>);

fn plain(text: String) -> Part {
    (text, None)
}

/// As wide as what is in them. What does not fit into the line is cut by the terminal's edge.
fn columns(view: &View, rows: &[Vec<Part>]) -> Vec<Line<'static>> {
    let many = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|(text, _)| text.width()).max();
    let widths: Vec<usize> = (0..many).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<Part>| {
        let spans = row.iter().zip(&widths).map(|((text, colour), width)| {
            let room = " ".repeat(width.saturating_sub(text.width()) + 2);
            let style = colour.map_or_else(Style::default, |colour| style(view, colour));
            Span::styled(format!("{text}{room}"), style)
        });
        Line::from(spans.collect::<Vec<_>>())
    };
    rows.iter().map(line).collect()
}
