//! A task that is hosted by a poller. Its coroutine is in the host's memory and outlives leases: while the task waits
//! it holds no lease, and when the same worker claims it again the coroutine goes on where it stopped.
//!
//! There are three ways to host a handler. (1) It is called on a thread of a pool, and its task ends when it returns.
//! (2) It returns `STENT_PENDING`, keeps its slot, and is ended from another thread; the task is "deferred". (3) There
//! is no handler: the worker has an `Inbox` (see `events`), its tasks are deferred from the beginning, and slots need
//! no thread (`worker/desk`).
//!
//! In the third way a `Task` points to its `Coroutine`, which points to the current lease; the lease has a weak
//! reference back. Host and library take turns (`turns`). The host runs until it has nothing left to do; then
//! `next_turn` delivers the next arrival, commits, stays (if a step is running), or suspends. A suspended coroutine is
//! kept with its replay machine (`worker/coroutines`). When its task is claimed again and the machine fits the claim,
//! the same pass goes on under the new lease; otherwise the coroutine is evicted and a new one replays. Events of a
//! task are posted with its lock held, so they are in order, and each task that was handed over is closed by one of
//! them. Dropping the last reference to a coroutine takes that lock, so never drop one while holding it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use crate::executor::sync::lock;
use crate::model::{Error, Op, Result};

/// The lease that a coroutine runs under.
pub(in crate::executor) trait Lease {
    /// The host has dropped the coroutine with this tag.
    fn dropped_by_host(self: Arc<Self>, tag: u64);
}

/// The host's reference to its task.
pub(in crate::executor) struct Coroutine<L: Lease> {
    tag: u64,
    /// The current lease, or the last one. std Mutex: no other lock is taken while it is held.
    lease: Mutex<Arc<L>>,
}

impl<L: Lease> Coroutine<L> {
    pub(super) fn new(tag: u64, lease: Arc<L>) -> Arc<Self> {
        Arc::new(Self { tag, lease: Mutex::new(lease) })
    }

    pub(super) const fn tag(&self) -> u64 {
        self.tag
    }

    pub(super) fn lease(&self) -> Arc<L> {
        Arc::clone(&lock(&self.lease))
    }

    pub(super) fn renew(&self, lease: Arc<L>) {
        *lock(&self.lease) = lease;
    }
}

/// The host frees its task.
impl<L: Lease> Drop for Coroutine<L> {
    fn drop(&mut self) {
        self.lease().dropped_by_host(self.tag);
    }
}

/// A lease's view of its coroutine.
pub(in crate::executor) struct Polled<L: Lease> {
    pub(super) tag: u64,
    /// The host's coroutine; dangling before the task is handed over.
    pub(super) coroutine: Weak<Coroutine<L>>,
    pub(super) asked: Asked,
    /// It is the host's turn; else it is the library's.
    pub(super) hosts_turn: bool,
    /// When the host's last turn began.
    pub(super) turn_since: Instant,
    pub(super) loading: bool,
    pub(super) look_set: bool,
    /// A step has ended: it is recorded without waiting for the end of the turn.
    pub(super) urgent: bool,
    /// The event that closes the task was posted.
    pub(super) told: bool,
}

impl<L: Lease> Polled<L> {
    pub(in crate::executor) fn new() -> Self {
        // Unique in the process, so that several pollers of one host can't be mixed up.
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self {
            tag: LAST.fetch_add(1, Relaxed) + 1,
            coroutine: Weak::new(),
            asked: Asked::default(),
            hosts_turn: false,
            turn_since: Instant::now(),
            loading: false,
            look_set: false,
            urgent: false,
            told: false,
        }
    }

    pub(super) fn begin_turn(&mut self) {
        self.hosts_turn = true;
        self.turn_since = Instant::now();
    }

    /// Does the host still have the task?
    pub(in crate::executor) fn is_kept(&self) -> bool {
        self.coroutine.strong_count() > 0
    }

    pub(in crate::executor) const fn tag(&self) -> u64 {
        self.tag
    }
}

/// The operations that the host wants to be notified of.
#[derive(Default)]
pub(super) struct Asked {
    /// Operations that have not been delivered yet, with the number of their question.
    ops: HashMap<Op, u64>,
    questions: HashMap<u64, Question>,
    last: u64,
    /// Questions whose operations had been delivered before they were asked, in order.
    late: VecDeque<u64>,
}

pub(super) struct Question {
    pub(super) tag: u64,
    pub(super) ops: Vec<Op>,
    /// A group: answered when all have arrived.
    pub(super) group: bool,
    missing: usize,
}

impl Asked {
    /// `is_there`: has the operation been delivered already?
    pub(super) fn ask(
        &mut self,
        ops: &[Op],
        group: bool,
        tag: u64,
        mut is_there: impl FnMut(Op) -> Result<bool>,
    ) -> Result<()> {
        let again = |op: Op| {
            let told = "notify: each operation is asked for once, and is told of once";
            Err(Error::conflict(format!("{told}; {op} is asked for already")).with("op", i64::from(op)))
        };
        let mut sorted = ops.to_vec();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return again(twice[0]);
        }
        let mut missing = Vec::with_capacity(ops.len());
        for op in ops {
            if self.ops.contains_key(op) {
                return again(*op);
            }
            if !is_there(*op)? {
                missing.push(*op);
            }
        }
        self.last += 1;
        self.ops.extend(missing.iter().map(|op| (*op, self.last)));
        if missing.is_empty() {
            self.late.push_back(self.last);
        }
        let question = Question { tag, ops: ops.to_vec(), group, missing: missing.len() };
        self.questions.insert(self.last, question);
        Ok(())
    }

    /// The operation has been delivered. Returns the question that this answers, if any.
    pub(super) fn arrived(&mut self, op: Op) -> Option<Question> {
        let number = self.ops.remove(&op)?;
        let question = self.questions.get_mut(&number)?;
        question.missing -= 1;
        if question.missing == 0 { self.questions.remove(&number) } else { None }
    }

    pub(super) fn next_late(&mut self) -> Option<Question> {
        let number = self.late.pop_front()?;
        self.questions.remove(&number)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    /// The operations that are missing, and whether all of them are needed (one group) or any helps.
    pub(super) fn missing(&self) -> (Vec<Op>, bool) {
        let mut ops: Vec<Op> = self.ops.keys().copied().collect();
        ops.sort_unstable();
        (ops, self.questions.len() == 1)
    }
}
