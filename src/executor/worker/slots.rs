//! Where handlers run: on the threads of a pool, or in a host that takes events.

use super::desk::Desk;
use super::pool::{Job, Pool};

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

    pub(super) fn slot_freed(&self) {
        match self {
            Self::Threads(pool) => pool.slot_freed(),
            Self::Events(desk) => desk.slot_freed(),
        }
    }

    /// Starts jobs that could run but had no thread.
    pub(super) fn kick(&self) -> std::io::Result<()> {
        match self {
            Self::Threads(pool) => pool.kick(),
            Self::Events(_) => Ok(()),
        }
    }

    /// So many of the slots may be used from now on.
    pub(super) fn allow(&self, slots: usize) -> std::io::Result<()> {
        match self {
            Self::Threads(pool) => pool.allow(slots),
            Self::Events(desk) => {
                desk.allow(slots);
                Ok(())
            }
        }
    }

    pub(super) fn take_queued(&self) -> Vec<J> {
        match self {
            Self::Threads(pool) => pool.take_queued(),
            Self::Events(desk) => desk.take_queued(),
        }
    }

    /// The number of slots in use, and of jobs that wait for one.
    pub(super) fn counts(&self) -> (usize, usize) {
        match self {
            Self::Threads(pool) => pool.counts(),
            Self::Events(desk) => desk.counts(),
        }
    }

    pub(super) fn close(&self) {
        match self {
            Self::Threads(pool) => pool.close(),
            Self::Events(desk) => drop(desk.take_queued()),
        }
    }
}
