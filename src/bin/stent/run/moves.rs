//! Executions leave the store as lines of JSON, come in from another one, and what was on its way is settled.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write as _};
use std::time::{Duration, Instant};

use serde::Serialize;
use stent::backend::{Departed, ExecutionFilter, Exported, Fenced, Imported, Parcel};
use stent::codec;
use stent::model::{Error, ExecutionState, Id, Status};

use crate::args::{Export, Import, OnTheWay, Settle};
use crate::marks;
use crate::place::Place;
use crate::screen::Screen;
use crate::table::{self, Cell};
use crate::trouble::{DONE, Trouble};
use crate::words::{self, several};

/// Executions in one look at the store.
const PAGE: u32 = 500;
/// Of what is fenced so much is known at once.
const FENCED: u32 = 1_000_000;
/// Between two tries to find nobody at it.
const PAUSE: Duration = Duration::from_millis(20);

/// One that stays: why.
#[derive(Serialize)]
struct Left {
    execution_id: Id,
    why: String,
}

/// What has gone out.
#[derive(Serialize)]
struct Out {
    exported: u64,
    ended: u64,
    left: Vec<Left>,
}

fn told(out: &Out) -> String {
    let fenced = several(out.exported, "execution");
    let fenced = format!("{fenced} exported, and fenced here until it is told what became of them");
    let copied = format!("{} copied", several(out.ended, "ended one"));
    let what = match (out.exported, out.ended) {
        (0, 0) if out.left.is_empty() => return "There is nothing to export.".to_owned(),
        (0, 0) => return "Nothing was exported.".to_owned(),
        (_, 0) => fenced,
        (0, _) => copied,
        _ => format!("{fenced}; {copied}"),
    };
    format!("{what}. To be imported by: stent --db STORE import FILE")
}

pub async fn export(place: &Place, export: Export, screen: &mut Screen) -> Result<u8, Trouble> {
    let ids = wanted(place, &export).await?;
    let mut file = export.output.as_deref().map(create).transpose()?;
    let (mut view, mut last) = (Out { exported: 0, ended: 0, left: Vec::new() }, None);
    for id in ids {
        match patiently(place, id, &export).await {
            Ok(Exported { line, ended }) => {
                match &mut file {
                    Some((file, name)) => writeln!(file, "{line}").map_err(|why| unwritten(name, &why))?,
                    None => {
                        screen.raw(&line);
                        screen.raw("\n");
                        screen.show()?;
                    }
                }
                if ended {
                    view.ended += 1;
                } else {
                    view.exported += 1;
                }
            }
            Err(why) => {
                view.left.push(Left { execution_id: id, why: why.message().to_owned() });
                last = Some(why);
            }
        }
    }
    if let Some((file, name)) = &file {
        file.sync_all().map_err(|why| unwritten(name, &why))?;
    }
    let told = told(&view);
    match file {
        Some(_) => {
            screen.line(told);
            screen.json(&view);
        }
        // Standard output is for the lines.
        None => screen.aside(told),
    }
    match (view.left.as_slice(), last) {
        ([], _) | (_, None) => Ok(DONE),
        ([_], Some(why)) => Err(why.into()),
        (left, Some(_)) => {
            let why = left.first().map(|left| left.why.as_str()).unwrap_or_default();
            Err(Trouble::conflict(format!(
                "{} stay here; the first one: {why}",
                several(left.len() as u64, "execution")
            )))
        }
    }
}

fn create(path: &std::path::Path) -> Result<(File, String), Trouble> {
    let name = path.display().to_string();
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => Ok((file, name)),
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
            Err(Trouble::conflict(format!("there is a file '{name}' already; nothing was exported")))
        }
        Err(why) => Err(unwritten(&name, &why)),
    }
}

fn unwritten(name: &str, why: &io::Error) -> Trouble {
    Trouble::failed(format!("write '{name}': {why}"))
        .hint("what was exported is fenced in the store, and is written again by: stent export --fenced")
}

/// The ids that were given, or those of all that is asked for, oldest first.
async fn wanted(place: &Place, export: &Export) -> Result<Vec<Id>, Trouble> {
    if export.fenced {
        return Ok(place.backend.departed(FENCED).await?.into_iter().map(|one| one.execution_id).collect());
    }
    if !export.executions.is_empty() {
        return Ok(export.executions.clone());
    }
    let states = match export.state {
        Some(state) => vec![state],
        None => vec![ExecutionState::Pending, ExecutionState::Running],
    };
    let mut found = Vec::new();
    for state in states {
        for page in 0.. {
            let filter = ExecutionFilter {
                state: Some(state),
                function: export.function.clone(),
                queue: export.queue.clone(),
                limit: PAGE,
                offset: page * PAGE,
                ..ExecutionFilter::default()
            };
            let executions = place.backend.list(filter).await?;
            found.extend(executions.iter().map(|execution| (execution.created_at, execution.id)));
            if executions.len() < PAGE as usize {
                break;
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

/// Waits for a moment at which no worker is at it.
async fn patiently(place: &Place, id: Id, export: &Export) -> Result<Exported, Error> {
    let end = Instant::now() + export.wait;
    loop {
        match place.backend.export(id, export.anyway).await {
            Err(why) if why.details().contains_key("later") && Instant::now() < end => tokio::time::sleep(PAUSE).await,
            done => return done,
        }
    }
}

pub async fn import(place: &Place, import: Import, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Default, Serialize)]
    struct View {
        imported: Vec<Id>,
        were_there: Vec<Id>,
    }
    let name = import.file.display().to_string();
    let reader: Box<dyn BufRead> = if name == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(&import.file).map_err(|why| Trouble::usage(format!("read '{name}': {why}")))?;
        Box::new(BufReader::new(file))
    };
    let mut view = View::default();
    let mut trouble = None;
    for (number, line) in reader.lines().enumerate() {
        match one(place, line).await {
            Ok(None) => {}
            Ok(Some((id, Imported::Done))) => view.imported.push(id),
            Ok(Some((id, Imported::WasThere))) => view.were_there.push(id),
            Err(why) => {
                trouble = Some(why.doing(&format!("line {}", number + 1)));
                break;
            }
        }
    }
    let there = match view.were_there.len() as u64 {
        0 => String::new(),
        1 => "; 1 was there already".to_owned(),
        many => format!("; {} were there already", words::number(many)),
    };
    screen.line(format!("{} imported{there}.", several(view.imported.len() as u64, "execution")));
    if !view.imported.is_empty() {
        screen.line("Where they came from, this forgets them: stent exported done --all");
    }
    screen.json(&view);
    match trouble {
        None => Ok(DONE),
        Some(why) => {
            Err(Trouble::from(why).hint("the lines before it are imported; all of them may be imported again"))
        }
    }
}

async fn one(place: &Place, line: io::Result<String>) -> Result<Option<(Id, Imported)>, Error> {
    let line = line.map_err(|why| Error::invalid(format!("it is not what export writes: {why}")))?;
    if line.trim().is_empty() {
        return Ok(None);
    }
    let parcel: Parcel = codec::from_json("an exported execution", &line)?;
    let id = parcel.execution.id;
    Ok(Some((id, place.backend.import(parcel).await?)))
}

pub async fn on_the_way(place: &Place, command: OnTheWay, screen: &mut Screen) -> Result<u8, Trouble> {
    match command {
        OnTheWay::List => list(place, screen).await,
        OnTheWay::Back(settle) => {
            let question = "Take {} back? Where it was imported by now, it would run twice.";
            each(place, settle, Fenced::TakeBack, question, screen).await
        }
        OnTheWay::Done(settle) => {
            let question = "Forget {}? What was not imported elsewhere is lost.";
            each(place, settle, Fenced::LetGo, question, screen).await
        }
    }
}

async fn list(place: &Place, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        exported: Vec<Departed>,
    }
    let exported = place.backend.departed(FENCED).await?;
    let row = |one: &Departed| {
        vec![
            one.execution_id.to_string().into(),
            words::visible(&one.function).into(),
            marks::when(screen, one.exported_at).into(),
            words::bytes(one.bytes).into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = exported.iter().map(row).collect();
    match rows.is_empty() {
        true => screen.line("Nothing is on its way to another store."),
        false => table::write(screen, &["EXECUTION", "FUNCTION", "EXPORTED", "SIZE"], &rows),
    }
    screen.json(&View { exported });
    Ok(DONE)
}

async fn each(place: &Place, settle: Settle, what: Fenced, question: &str, screen: &mut Screen) -> Result<u8, Trouble> {
    #[derive(Serialize)]
    struct View {
        settled: Vec<Id>,
    }
    let Settle { executions, all, yes } = settle;
    let ids = if all {
        place.backend.departed(FENCED).await?.into_iter().map(|one| one.execution_id).collect()
    } else {
        executions
    };
    let many = match ids.as_slice() {
        [] => {
            screen.line("Nothing is on its way to another store.");
            screen.json(&View { settled: Vec::new() });
            return Ok(DONE);
        }
        [one] => format!("execution {one}"),
        many => several(many.len() as u64, "execution"),
    };
    screen.confirm(yes, &question.replace("{}", &many))?;
    let mut settled = Vec::new();
    for id in ids {
        match place.backend.settle(id, what).await {
            // Of all, one that somebody else has just settled.
            Err(why) if all && why.status() == Status::NotFound => {}
            done => done.map(|()| settled.push(id))?,
        }
    }
    let told = match what {
        Fenced::TakeBack => "taken back, and go on here",
        Fenced::LetGo => "forgotten here",
    };
    screen.line(format!("{} {told}.", several(settled.len() as u64, "execution")));
    screen.json(&View { settled });
    Ok(DONE)
}
