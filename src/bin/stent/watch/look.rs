//! Asks the store for all that is shown.

use std::time::Instant;

use stent::backend::{DeadLetterFilter, ExecutionFilter, Registered, StoreStats};
use stent::model::{DeadLetter, Execution, ExecutionState, Id};

use super::sample::{Rates, Samples, Spread, latencies};
use crate::args;
use crate::place::Place;
use crate::run::show;
use crate::screen::Screen;
use crate::trouble::Trouble;

/// Executions in the list; latencies are those of the newest ones, so many.
const LISTED: u32 = 100;
/// Dead letters.
const LETTERS: u32 = 4;
/// Counting a large store takes time: of all time not more than the so manieth part.
const PART: u32 = 10;

/// Which executions are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum List {
    #[default]
    All,
    Running,
    Failed,
}

#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub list: List,
    pub detail: Option<Id>,
}

pub struct Seen {
    pub stats: StoreStats,
    pub rates: Option<Rates>,
    pub begun: Option<Spread>,
    pub ran: Option<Spread>,
    /// Latencies are those of so many.
    pub measured: usize,
    pub registered: Registered,
    pub executions: Vec<Execution>,
    pub letters: Vec<DeadLetter>,
    pub detail: Option<(Id, Vec<String>)>,
}

/// The counts of the whole store, which are not made anew at each look if they take long.
pub struct Looks {
    begin: Instant,
    stats: StoreStats,
    samples: Samples,
    due: Instant,
}

impl Default for Looks {
    fn default() -> Self {
        let begin = Instant::now();
        Self { begin, stats: StoreStats::default(), samples: Samples::default(), due: begin }
    }
}

impl Looks {
    pub async fn look(&mut self, place: &Place, wanted: Wanted) -> Result<Seen, Trouble> {
        self.count(place).await?;
        let newest = list(place, None).await?;
        let (begun, ran, measured) = latencies(&newest);
        let executions = match wanted.list {
            List::All => newest,
            List::Running => list(place, Some(ExecutionState::Running)).await?,
            List::Failed => list(place, Some(ExecutionState::Failed)).await?,
        };
        let letters = DeadLetterFilter { limit: LETTERS, ..DeadLetterFilter::default() };
        Ok(Seen {
            stats: self.stats.clone(),
            rates: self.samples.rates(),
            begun,
            ran,
            measured,
            registered: place.backend.registered().await?,
            executions,
            letters: place.backend.dead_letters(letters).await?,
            detail: match wanted.detail {
                Some(id) => Some((id, detail(place, id).await?)),
                None => None,
            },
        })
    }

    async fn count(&mut self, place: &Place) -> Result<(), Trouble> {
        let now = Instant::now();
        if now < self.due {
            return Ok(());
        }
        self.stats = place.backend.stats().await?;
        self.samples.add(now.duration_since(self.begin), &self.stats);
        self.due = now + now.elapsed() * PART;
        Ok(())
    }
}

async fn list(place: &Place, state: Option<ExecutionState>) -> Result<Vec<Execution>, Trouble> {
    let filter = ExecutionFilter { state, limit: LISTED, ..ExecutionFilter::default() };
    Ok(place.backend.list(filter).await?)
}

/// What `stent show` says.
async fn detail(place: &Place, id: Id) -> Result<Vec<String>, Trouble> {
    let mut screen = Screen::kept();
    match show::show(place, args::Show { id, all: false }, &mut screen).await {
        Ok(_) => Ok(screen.into_text().lines().map(str::to_owned).collect()),
        // It may be gone by now, which is no trouble of the view's.
        Err(why) => Ok(vec![why.message().to_owned()]),
    }
}
