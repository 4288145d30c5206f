//! Where handlers run: on the threads of a pool, or in a host that takes events.

use super::desk::Desk;
use super::pool::{Call, Pool};
use super::turns::{Job, Turns};

pub(super) enum Slots<J: Job> {
    Threads(Pool<J>),
    Events(Desk<J>),
}

impl<J: Job> Slots<J> {
    /// # Errors
    /// As [`Pool::push`]; events need no thread.
    pub(super) fn push(&self, first: Vec<J>, then: Vec<J>) -> std::io::Result<()> {
        match self {
            Self::Threads(pool) => pool.push(first, then),
            Self::Events(desk) => {
                desk.push(first, then);
                Ok(())
            }
        }
    }

    /// # Errors
    /// As [`Pool::push`].
    pub(super) fn call(&self, call: Call) -> std::io::Result<()> {
        match self {
            Self::Threads(pool) => pool.call(call),
            Self::Events(_) => {
                call();
                Ok(())
            }
        }
    }

    /// A job that went on after its run has ended.
    pub(super) fn slot_freed(&self, apart: bool) {
        match self {
            Self::Threads(pool) => pool.slot_freed(apart),
            Self::Events(desk) => desk.slot_freed(apart),
        }
    }

    /// Starts jobs that could run but had no thread.
    pub(super) fn kick(&self) -> std::io::Result<()> {
        match self {
            Self::Threads(pool) => pool.kick(),
            Self::Events(_) => Ok(()),
        }
    }

    /// So many jobs that don't run apart may from now on; those that run go on.
    pub(super) fn allow(&self, others: usize) -> std::io::Result<()> {
        match self {
            Self::Threads(pool) => pool.allow(others),
            Self::Events(desk) => {
                desk.allow(others);
                Ok(())
            }
        }
    }

    pub(super) fn take_queued(&self) -> Vec<J> {
        self.look(Turns::take_queued)
    }

    /// The number of slots in use, and of jobs that wait for one.
    pub(super) fn counts(&self) -> (usize, usize) {
        self.look(|turns| turns.counts())
    }

    /// The number of slots in use by jobs that don't run apart.
    pub(super) fn used_by_others(&self) -> usize {
        self.look(|turns| turns.used_by_others())
    }

    fn look<R>(&self, look: impl FnOnce(&mut Turns<J>) -> R) -> R {
        match self {
            Self::Threads(pool) => pool.look(look),
            Self::Events(desk) => desk.look(look),
        }
    }

    pub(super) fn close(&self) {
        match self {
            Self::Threads(pool) => pool.close(),
            Self::Events(desk) => drop(desk.look(Turns::take_queued)),
        }
    }
}
