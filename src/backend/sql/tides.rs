//! From when on something may be due. On PostgreSQL an old snapshot keeps the index entries of all that was due, and of all
//! leases that were given back, before those that count. So a process remembers before which times it has found nothing:
//! what is written later is due later, but for what older times a tool writes, and for what is long on its way. A process
//! that has written such a thing forgets what it knew. And all is looked at from the beginning as long as that costs nothing,
//! and now and then where it does.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::row::Row;
use crate::model::{Result, Timestamp};

/// A look at all that takes no longer is always one at all.
const CHEAP: Duration = Duration::from_millis(5);

/// Otherwise it is one again after so long, and after so many times as long as it took.
const GOOD_FOR: Duration = Duration::from_secs(30);
const GOOD_FOR_LOOKS: u32 = 50;

/// What is committed sooner than this after its transaction began is not due before any look, which leaves out what is older
/// than twice that only.
const SOON: Duration = Duration::from_secs(1);

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
    /// How often it was forgotten.
    forgotten: u64,
}

/// A look on its way.
#[derive(Clone, Copy)]
pub(in crate::backend) struct Look {
    pub since: Since,
    begun: Instant,
    forgotten: u64,
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
    pub fn look(&self) -> Look {
        let noted = self.held();
        let may_be_short =
            |(at, took): (Instant, Duration)| took > CHEAP && at.elapsed() < GOOD_FOR.max(took * GOOD_FOR_LOOKS);
        let since = if noted.looked.is_some_and(may_be_short) { noted.since } else { Since::default() };
        Look { since, begun: Instant::now(), forgotten: noted.forgotten }
    }

    /// What a look has found. It may not have seen what was written since it began.
    pub fn learn(&self, look: &Look, since: Since) {
        let mut noted = self.held();
        if noted.forgotten != look.forgotten {
            return;
        }
        noted.since = since;
        if look.since == Since::default() {
            noted.looked = Some((Instant::now(), look.begun.elapsed()));
        }
    }

    /// A transaction that was begun then is committed, or may be. `early`: it has written what was due before it began.
    pub fn written(&self, begun: Instant, early: bool) {
        if early || begun.elapsed() > SOON {
            self.forget();
        }
    }

    /// Or another server, perhaps, which has a clock of its own.
    pub fn forget(&self) {
        let mut noted = self.held();
        *noted = Noted { forgotten: noted.forgotten.wrapping_add(1), ..Noted::default() };
    }
}

pub(super) fn read(row: &Row) -> Result<Since> {
    Ok(Since {
        due: row.optional_time("due_since")?,
        lease: row.optional_time("lease_since")?,
        expiry: row.optional_time("expiry_since")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(micros: i64) -> Since {
        let at = Some(Timestamp::from_micros(micros));
        Since { due: at, lease: at, expiry: at }
    }

    /// A look that began so long ago.
    fn slow(tides: &Tides) -> Look {
        let look = tides.look();
        Look { begun: look.begun.checked_sub(2 * CHEAP).unwrap(), ..look }
    }

    #[test]
    fn a_look_is_short_after_a_dear_one() {
        let tides = Tides::default();
        tides.learn(&tides.look(), since(7));
        assert_eq!((tides.since(), tides.look().since), (since(7), Since::default()), "it was cheap");
        tides.learn(&slow(&tides), since(8));
        assert_eq!((tides.since(), tides.look().since), (since(8), since(8)));
        tides.learn(&tides.look(), since(9));
        assert_eq!(tides.look().since, since(9));
    }

    #[test]
    fn what_is_due_before_it_was_written_is_looked_for() {
        let tides = Tides::default();
        let long_ago = Instant::now().checked_sub(2 * SOON).unwrap();
        for (begun, early) in [(Instant::now(), true), (long_ago, false)] {
            tides.learn(&slow(&tides), since(8));
            tides.written(Instant::now(), false);
            assert_eq!(tides.look().since, since(8));
            let before = tides.look();
            tides.written(begun, early);
            tides.learn(&before, since(9));
            assert_eq!((tides.since(), tides.look().since), (Since::default(), Since::default()));
        }
    }
}
