//! From when on something may be due. On PostgreSQL an old snapshot keeps the index entries of all that was due, and of all
//! leases that were given back, before those that count. So a process remembers before which times it has found nothing:
//! what is written later is due later, but for what older times a tool writes. So all is looked at from the beginning as
//! long as that costs nothing, and now and then where it does.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::row::Row;
use crate::model::{Result, Timestamp};

/// A look at all that takes no longer is always one at all.
const CHEAP: Duration = Duration::from_millis(5);

/// Otherwise it is one again after so long, and after so many times as long as it took.
const GOOD_FOR: Duration = Duration::from_secs(30);
const GOOD_FOR_LOOKS: u32 = 50;

/// From these times on. `None`: from the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::backend) struct Since {
    pub due: Option<Timestamp>,
    pub lease: Option<Timestamp>,
    pub expiry: Option<Timestamp>,
}

#[derive(Default)]
struct Noted {
    since: Since,
    /// The last look at all: when it ended, and how long it took.
    looked: Option<(Instant, Duration)>,
}

/// What a process knows.
#[derive(Default)]
pub(in crate::backend) struct Tides(Mutex<Noted>);

impl Tides {
    fn held(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the last look has found.
    pub fn since(&self) -> Since {
        self.held().since
    }

    /// From when on the next look looks.
    pub fn before_look(&self) -> Since {
        let noted = self.held();
        let may_be_short =
            |(at, took): (Instant, Duration)| took > CHEAP && at.elapsed() < GOOD_FOR.max(took * GOOD_FOR_LOOKS);
        if noted.looked.is_some_and(may_be_short) { noted.since } else { Since::default() }
    }

    /// What a look has found.
    pub fn learn(&self, before: Since, begun: Instant, since: Since) {
        let mut noted = self.held();
        noted.since = since;
        if before == Since::default() {
            noted.looked = Some((Instant::now(), begun.elapsed()));
        }
    }
}

pub(super) fn read(row: &Row) -> Result<Since> {
    Ok(Since {
        due: row.optional_time("due_since")?,
        lease: row.optional_time("lease_since")?,
        expiry: row.optional_time("expiry_since")?,
    })
}
