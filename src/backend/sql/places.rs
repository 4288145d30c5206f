//! Where in its lane a claim begins to look. On PostgreSQL an old snapshot (a report, a forgotten transaction) keeps the rows
//! of what was claimed long ago, and their index entries stand before those of what is ready. So a process remembers where in
//! each lane something may be, as of which snapshot, and looks at the rest by `tasks.readied`, the transaction that made a
//! task ready: what that snapshot did not see. Nothing is missed, and the best comes first, as if all had been looked at.
//!
//! What a transaction has learned counts once it is committed: until then what it claimed may be ready again. From time to
//! time a lane is looked at from its beginning, whatever is known: an older library may not write `readied`.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::call::Call;
use super::row::Row;
use super::statement::Statement;
use crate::model::{Error, Result, Timestamp};

/// How long a lane need not be looked at from its beginning, and how many times as long as that look took.
const GOOD_FOR: Duration = Duration::from_secs(30);
const GOOD_FOR_LOOKS: u32 = 50;

/// Priorities of one lane that are told apart; those below them are looked at as a whole.
const PRIORITIES_MAX: usize = 32;

/// Something may be ready of this priority, since this time; without a time: of this priority and all below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    priority: i64,
    since: Option<Timestamp>,
}

const WHOLE: Place = Place { priority: i64::MAX, since: None };

/// A transaction's snapshot: it does not see those from `end` on, nor these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Snapshot {
    end: i64,
    running: Vec<i64>,
}

/// What is known of a lane.
#[derive(Clone, Debug)]
pub(in crate::backend) struct Noted {
    as_of: Snapshot,
    /// By priority, the best first.
    places: Vec<Place>,
    /// When it was looked at from its beginning, and how long that took.
    looked: (Instant, Duration),
}

impl Noted {
    fn is_good(&self) -> bool {
        let (at, took) = self.looked;
        at.elapsed() < GOOD_FOR.max(took * GOOD_FOR_LOOKS)
    }
}

/// As in the catalog, which has the notes of its process.
type Lane = i64;

pub(in crate::backend) type Notes = HashMap<Lane, Noted>;

/// What a process has noted of all lanes.
#[derive(Default)]
pub(in crate::backend) struct Places(Mutex<Notes>);

impl Places {
    fn held(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a committed transaction has learned.
    pub fn put(&self, notes: Notes) {
        self.held().extend(notes);
    }

    /// Another server, perhaps, whose numbers of transactions mean something else.
    pub fn forget(&self) {
        self.held().clear();
    }

    /// If there was nothing in any of these lanes: as of which snapshots.
    pub fn quiet(&self, lanes: &[Lane]) -> Option<Quiet> {
        let all = self.held();
        let mut quiet = Quiet::default();
        for lane in lanes {
            let noted = all.get(lane).filter(|noted| noted.is_good() && noted.places.is_empty())?;
            quiet.seen.push(noted.as_of.end);
            quiet.running.extend(&noted.as_of.running);
        }
        Some(quiet)
    }

    /// Begins a look at these lanes. `own`: what the same transaction has learned already.
    pub fn look(&self, lanes: &[Lane], own: &Notes) -> Look {
        let all = self.held();
        let known =
            |lane: &Lane| (*lane, own.get(lane).or_else(|| all.get(lane)).filter(|noted| noted.is_good()).cloned());
        Look { lanes: lanes.iter().map(known).collect(), begun: Instant::now() }
    }
}

/// Snapshots in which there was nothing in some lanes: the end of each, and whom they did not see.
#[derive(Default)]
pub(in crate::backend) struct Quiet {
    pub seen: Vec<i64>,
    pub running: Vec<i64>,
}

/// A look at lanes, of which this was known.
pub(in crate::backend) struct Look {
    lanes: HashMap<Lane, Option<Noted>>,
    begun: Instant,
}

impl Look {
    /// Begins a call of a statement whose batch is the places, and whose first parameter the snapshots' running
    /// transactions.
    pub fn call<'a>(&self, statement: &'static Statement) -> Call<'a> {
        let mut call = statement.call();
        let mut running = Vec::new();
        for (lane, noted) in &self.lanes {
            let (seen, places) = match noted {
                None => (None, [WHOLE].as_slice()),
                Some(noted) => (Some(noted.as_of.end), noted.places.as_slice()),
            };
            running.extend(noted.iter().flat_map(|noted| &noted.as_of.running));
            for place in places {
                call.row().int(*lane).int(seen).int(place.priority).time(place.since);
            }
            if places.is_empty() {
                call.row().int(*lane).int(seen).int(None).time(None);
            }
        }
        running.sort_unstable();
        running.dedup();
        call.ints(&running);
        call
    }

    /// What is known now, by the answer. `None`: the server's transactions are not those of what was known.
    pub fn learn(self, row: &Row) -> Result<Option<Notes>> {
        let took = self.begun.elapsed();
        let mut as_of = snapshot(row.text("snapshot")?)?;
        as_of.running.extend(row.optional_int("own")?);
        let mut places = read(row.optional_text("places")?.unwrap_or_default())?;
        let mut notes = Notes::new();
        for (lane, noted) in self.lanes {
            if noted.as_ref().is_some_and(|noted| noted.as_of.end > as_of.end) {
                return Ok(None);
            }
            let looked = noted.map_or((self.begun, took), |noted| noted.looked);
            let places = joined(places.remove(&lane).unwrap_or_default());
            notes.insert(lane, Noted { as_of: as_of.clone(), places, looked });
        }
        Ok(Some(notes))
    }
}

/// A snapshot as PostgreSQL writes it: `begin:end:running,running`.
fn snapshot(text: &str) -> Result<Snapshot> {
    let number = |word: &str| word.parse::<i64>().map_err(|_| unreadable(text));
    let mut words = text.splitn(3, ':').skip(1);
    let (Some(end), Some(running)) = (words.next(), words.next()) else { return Err(unreadable(text)) };
    let running = running.split(',').filter(|word| !word.is_empty()).map(number).collect::<Result<_>>()?;
    Ok(Snapshot { end: number(end)?, running })
}

/// The places as the statement writes them: `lane priority microseconds below,…`. What is found below a priority begins
/// with a place of its own.
fn read(text: &str) -> Result<HashMap<Lane, Vec<Place>>> {
    let mut lanes: HashMap<Lane, Vec<Place>> = HashMap::new();
    for entry in text.split(',').filter(|entry| !entry.is_empty()) {
        let mut words = entry.split(' ');
        let mut number = || words.next().and_then(|word| word.parse::<i64>().ok()).ok_or_else(|| unreadable(entry));
        let (lane, priority, since) = (number()?, number()?, number()?);
        let places = lanes.entry(lane).or_default();
        places.push(Place { priority, since: Some(Timestamp::from_micros(since)) });
        if words.next() == Some("t")
            && let Some(priority) = priority.checked_sub(1)
        {
            places.push(Place { priority, since: None });
        }
    }
    Ok(lanes)
}

/// By priority; of too many the lowest become one.
fn joined(mut places: Vec<Place>) -> Vec<Place> {
    places.sort_by_key(|place| std::cmp::Reverse(place.priority));
    if places.len() > PRIORITIES_MAX {
        places.truncate(PRIORITIES_MAX);
        if let Some(last) = places.last_mut() {
            last.since = None;
        }
    }
    places
}

fn unreadable(text: &str) -> Error {
    Error::backend(format!("look for what is ready: the server answers '{text}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(priority: i64, since: i64) -> Place {
        Place { priority, since: Some(Timestamp::from_micros(since)) }
    }

    #[test]
    fn an_answer_is_read() {
        let of_two = snapshot("7:12:7,9").unwrap();
        assert_eq!(of_two, Snapshot { end: 12, running: vec![7, 9] });
        assert_eq!(snapshot("12:12:").unwrap(), Snapshot { end: 12, running: vec![] });
        let lanes = read("-3 5 100 f,2 7 200 f,2 0 300 t").unwrap();
        assert_eq!(lanes[&-3], [place(5, 100)]);
        assert_eq!(lanes[&2], [place(7, 200), place(0, 300), Place { priority: -1, since: None }]);
        let lowest = format!("1 {} 100 t", i64::MIN);
        assert_eq!(read(&lowest).unwrap()[&1], [place(i64::MIN, 100)]);
        for wrong in ["", "1:2", "a:b:c", "1:2:x"] {
            assert!(snapshot(wrong).is_err(), "{wrong}");
        }
        assert!(read("1 2").is_err());
    }

    #[test]
    fn of_many_priorities_the_lowest_are_looked_at_as_a_whole() {
        let places: Vec<Place> = (0..100).map(|priority| place(priority, 1)).collect();
        let joined = joined(places);
        assert_eq!(joined.len(), PRIORITIES_MAX);
        assert_eq!(joined[0], place(99, 1));
        let lowest = 100 - PRIORITIES_MAX as i64;
        assert_eq!(joined.last(), Some(&Place { priority: lowest, since: None }));
    }
}
