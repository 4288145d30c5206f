//! Schedules: what there are, and what is done with them.

use serde::Serialize;
use stent::backend::{KeptSchedule, ScheduleChange, ScheduleFilter, Tick};
use stent::codec;
use stent::model::{Schedule, TickState, Timestamp, When, format_duration};

use crate::args::{Put, Schedules};
use crate::marks;
use crate::place::Place;
use crate::screen::{Colour, Screen};
use crate::table::{self, Cell};
use crate::trouble::{DONE, Trouble};
use crate::words;

pub async fn schedules(place: &Place, what: Schedules, screen: &mut Screen) -> Result<u8, Trouble> {
    match what {
        Schedules::List { owner, function, limit, after } => {
            let filter =
                ScheduleFilter { owner, function, after, limit, next: 1, last: 1, ..ScheduleFilter::default() };
            list(place, filter, screen).await
        }
        Schedules::Show { name, count } => show(place, name, count, screen).await,
        Schedules::Put(asked) => put(place, *asked, screen).await,
        Schedules::Delete { name, yes } => {
            screen.confirm(yes, &format!("Delete the schedule '{}'?", words::visible(&name)))?;
            change(place, &name, ScheduleChange::Delete, "deleted", screen).await
        }
        Schedules::Pause { name, note } => change(place, &name, ScheduleChange::Pause { note }, "paused", screen).await,
        Schedules::Resume { name } => change(place, &name, ScheduleChange::Resume, "resumed", screen).await,
        Schedules::Trigger { name, overlap } => make(place, &name, ScheduleChange::Trigger { overlap }, screen).await,
        Schedules::Backfill { name, from, to, overlap } => {
            make(place, &name, ScheduleChange::Backfill { from, to, overlap }, screen).await
        }
        Schedules::Next { name, count, .. } => {
            let kept = one(place, &name.unwrap_or_default(), count).await?;
            Ok(tell_next(kept.next, screen))
        }
    }
}

async fn list(place: &Place, mut filter: ScheduleFilter, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        schedules: Vec<KeptSchedule>,
        next: Option<String>,
    }
    let wanted = filter.limit as usize;
    let filtered = filter.owner.is_some() || filter.function.is_some() || filter.after.is_some();
    filter.limit = filter.limit.saturating_add(1);
    let mut found = place.executor.schedules(filter).await?;
    let more = found.len() > wanted;
    found.truncate(wanted);
    let next = found.last().filter(|_| more).map(|last| last.schedule.name.clone());
    let row = |kept: &KeptSchedule| {
        vec![
            words::visible(&kept.schedule.name).into(),
            words::visible(&kept.schedule.function).into(),
            when(&kept.schedule).into(),
            state(kept),
            kept.next_at.map(words::date).unwrap_or_default().into(),
            kept.last
                .first()
                .map(|tick| format!("{} {}", tick.state, marks::when(screen, tick.at)))
                .unwrap_or_default()
                .into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = found.iter().map(row).collect();
    if rows.is_empty() {
        screen.line(if filtered { "No such schedules." } else { "No schedules. stent schedules put makes one." });
    } else {
        table::write(screen, &["SCHEDULE", "FUNCTION", "WHEN", "STATE", "NEXT", "LAST"], &rows);
    }
    if let Some(next) = &next {
        let told = format!("\nThe next page: --after {}", words::visible(next));
        screen.line(screen.paint(Colour::Dim, &told));
    }
    screen.json(&View { schedules: found, next });
    Ok(DONE)
}

/// As its owner wrote it.
fn when(schedule: &Schedule) -> String {
    match &schedule.when {
        When::Cron(pattern) if schedule.time_zone == Schedule::TIME_ZONE => words::visible(pattern),
        When::Cron(pattern) => format!("{} {}", words::visible(pattern), words::visible(&schedule.time_zone)),
        When::Every(every) => format!("every {}", format_duration(*every)),
        When::Times(times) => words::several(times.len() as u64, "time"),
    }
}

fn state(kept: &KeptSchedule) -> Cell {
    let (word, colour) = match kept {
        KeptSchedule { trouble: Some(_), .. } => ("broken", Some(Colour::Bad)),
        KeptSchedule { paused_at: Some(_), .. } => ("paused", Some(Colour::Dim)),
        KeptSchedule { running: true, .. } => ("running", Some(Colour::Busy)),
        KeptSchedule { next_at: None, .. } => ("over", Some(Colour::Dim)),
        _ => ("active", None),
    };
    Cell::from(word).in_colour(colour)
}

async fn one(place: &Place, name: &str, count: u32) -> Result<KeptSchedule, Trouble> {
    let filter = ScheduleFilter { name: Some(name.to_owned()), next: count, last: count, ..ScheduleFilter::default() };
    let found = place.executor.schedules(filter).await?.pop();
    found.ok_or_else(|| {
        Trouble::not_found(format!("there is no schedule '{}'", words::visible(name)))
            .hint("stent schedules list shows those that there are")
    })
}

async fn show(place: &Place, name: String, count: u32, screen: &mut Screen) -> Result<u8, Trouble> {
    let kept = one(place, &name, count).await?;
    let schedule = &kept.schedule;
    let head = screen.paint(Colour::Head, &words::visible(&schedule.name));
    screen.line(format!("{head}  {}", when(schedule)));
    let mut facts: Vec<(&str, String)> = vec![
        ("function", words::visible(&schedule.function)),
        ("args", words::payload(&schedule.args)),
        ("overlap", schedule.overlap.to_string()),
        ("catch up", format_duration(schedule.catch_up)),
        ("put", marks::both(screen, kept.updated_at)),
    ];
    let mut maybe = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    maybe("owner", schedule.owner.as_deref().map(words::visible));
    maybe("start", schedule.start.map(words::date));
    maybe("end", schedule.end.map(words::date));
    maybe("jitter", Some(schedule.jitter).filter(|jitter| !jitter.is_zero()).map(format_duration));
    let paused = kept.paused_at.map(|at| match &kept.pause_note {
        Some(note) => format!("{}: {}", words::date(at), words::visible(note)),
        None => words::date(at),
    });
    maybe("paused", paused);
    maybe("trouble", kept.trouble.as_deref().map(words::visible));
    maybe("runs now", kept.last_execution_id.filter(|_| kept.running).map(|id| id.to_string()));
    maybe("waiting", Some(kept.waiting).filter(|count| *count > 0).map(|count| words::several(count.into(), "tick")));
    let rows: Vec<Vec<Cell>> =
        facts.into_iter().map(|(name, value)| vec![format!("  {name}").into(), value.into()]).collect();
    table::write(screen, &[], &rows);
    if !kept.next.is_empty() {
        screen.line("\nTo come");
        kept.next.iter().for_each(|at| screen.line(format!("  {}", words::date(*at))));
    }
    if !kept.last.is_empty() {
        screen.line("");
        tell(&kept.last, screen);
    }
    screen.json(&kept);
    Ok(DONE)
}

fn tell(ticks: &[Tick], screen: &mut Screen) {
    let row = |tick: &Tick| {
        let colour = match tick.state {
            TickState::Started => Some(Colour::Good),
            TickState::Waiting => Some(Colour::Busy),
            TickState::Skipped => Some(Colour::Dim),
            TickState::Missed => Some(Colour::Bad),
        };
        vec![
            words::date(tick.at).into(),
            tick.kind.as_str().into(),
            Cell::from(tick.state.as_str()).in_colour(colour),
            tick.execution_id.map(|id| id.to_string()).unwrap_or_default().into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = ticks.iter().map(row).collect();
    table::write(screen, &["TICK", "KIND", "STATE", "EXECUTION"], &rows);
}

async fn put(place: &Place, asked: Put, screen: &mut Screen) -> Result<u8, Trouble> {
    let options = codec::options::dispatch(asked.options.as_deref())?;
    let when = match (asked.cron, asked.every) {
        (Some(cron), _) => When::Cron(cron),
        (None, Some(every)) => When::Every(every),
        (None, None) => When::Times(asked.at),
    };
    let schedule = Schedule {
        args: codec::args_from_text(Some(&asked.args))?,
        options,
        time_zone: asked.time_zone,
        start: asked.start,
        end: asked.end,
        jitter: asked.jitter,
        overlap: asked.overlap,
        catch_up: asked.catch_up,
        owner: asked.owner,
        time_argument: asked.time_argument,
        ..Schedule::new(&asked.name, &asked.function, when)
    };
    let name = schedule.name.clone();
    place.executor.put_schedule(schedule).await?;
    let kept = one(place, &name, 1).await?;
    screen.line(match kept.next_at {
        Some(at) => format!("It ticks next at {}.", words::date(at)),
        None if kept.paused_at.is_some() => "It is paused.".to_owned(),
        None => "It ticks no more: its times are over.".to_owned(),
    });
    screen.json(&kept);
    Ok(DONE)
}

async fn change(
    place: &Place,
    name: &str,
    change: ScheduleChange,
    done: &'static str,
    screen: &mut Screen,
) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View<'a> {
        schedule: &'a str,
        done: &'static str,
    }
    place.executor.change_schedule(name, change).await?;
    screen.line(format!("The schedule '{}' is {done}.", words::visible(name)));
    screen.json(&View { schedule: name, done });
    Ok(DONE)
}

async fn make(place: &Place, name: &str, change: ScheduleChange, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        ticks: Vec<Tick>,
    }
    let ticks = place.executor.change_schedule(name, change).await?;
    match ticks.is_empty() {
        true => screen.line("No tick is left to make."),
        false => tell(&ticks, screen),
    }
    screen.json(&View { ticks });
    Ok(DONE)
}

/// Of a pattern that is in no store.
pub fn next(cron: String, time_zone: String, count: u32, screen: &mut Screen) -> Result<u8, Trouble> {
    let asked = Schedule { time_zone, ..Schedule::new("next", "next", When::Cron(cron)) };
    let next = asked.check()?.ticks(words::now()).take(count as usize).collect();
    Ok(tell_next(next, screen))
}

fn tell_next(next: Vec<Timestamp>, screen: &mut Screen) -> u8 {
    #[derive(Serialize)]
    struct View {
        next: Vec<Timestamp>,
    }
    match next.is_empty() {
        true => screen.line("None."),
        false => next.iter().for_each(|at| screen.line(words::date(*at))),
    }
    screen.json(&View { next });
    DONE
}
