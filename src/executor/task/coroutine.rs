//! A poller's task. Its coroutine is in the host's memory and outlives leases: the task waits as rows only, and goes on
//! where it stopped when the worker that suspended it has it again.
//!
//! There are three ways to host a handler. It is called back on a thread of a pool, and its task ends when it returns; or it
//! returns `STENT_PENDING`, keeps its slot, and is ended from another thread; or there is no handler: the worker has an
//! `Inbox` (`events`), and a task is deferred from its beginning, with slots that need no thread (`worker/desk`).
//!
//! In the third, a `Task` points to its `Coroutine`, and that to the lease it is under now; a lease has only a weak
//! reference back. Turns (`turns`) go to and fro: the host runs until it has nothing left to do, then `next_turn` decides:
//! hand over the next arrival, commit, stay (a step runs), or suspend. A suspended coroutine is kept with its machine
//! (`worker/coroutines`). When its task is claimed again and the machine fits the claim, the same pass goes on under the
//! new lease; else it is evicted, and a new one replays. Events of one task are posted under its lock, so they come in
//! order, and each task that is handed over is closed by one of them. A coroutine's last reference takes that lock when it
//! is dropped: never drop one under it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};

use crate::executor::sync::lock;
use crate::model::{Error, Op, Result};

/// What a coroutine runs under.
pub(in crate::executor) trait Lease {
    /// The host has dropped the coroutine of this tag.
    fn deserted(self: Arc<Self>, tag: u64);
}

/// What the host holds.
pub(in crate::executor) struct Coroutine<L: Lease> {
    tag: u64,
    /// The lease that the task is under now, or was last. std Mutex: a leaf.
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

/// The host has freed its task.
impl<L: Lease> Drop for Coroutine<L> {
    fn drop(&mut self) {
        self.lease().deserted(self.tag);
    }
}

/// What a lease knows of the coroutine that runs under it.
pub(in crate::executor) struct Polled<L: Lease> {
    pub(super) tag: u64,
    /// The host's; dangling before the task was handed over.
    pub(super) coroutine: Weak<Coroutine<L>>,
    pub(super) asked: Asked,
    /// The host has something to do; else it is for the library to say what is next.
    pub(super) hosts_turn: bool,
    pub(super) loading: bool,
    pub(super) look_set: bool,
    /// A step has ended: it is recorded without waiting for the turn's end.
    pub(super) urgent: bool,
    /// The event that closes the task has been posted.
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
            loading: false,
            look_set: false,
            urgent: false,
            told: false,
        }
    }

    /// Does the host still have the task?
    pub(in crate::executor) fn is_kept(&self) -> bool {
        self.coroutine.strong_count() > 0
    }

    pub(in crate::executor) const fn tag(&self) -> u64 {
        self.tag
    }
}

/// What the host wants to be told of.
#[derive(Default)]
pub(super) struct Asked {
    /// Operations that have not been handed over yet, and the question that each belongs to.
    ops: HashMap<Op, u64>,
    questions: HashMap<u64, Question>,
    last: u64,
    /// Questions that were answered before they were asked, in the order in which they were asked.
    late: VecDeque<u64>,
}

pub(super) struct Question {
    pub(super) tag: u64,
    pub(super) ops: Vec<Op>,
    /// Asked for together.
    pub(super) group: bool,
    missing: usize,
}

impl Asked {
    /// `is_there`: has the operation been handed over already?
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

    /// The operation has been handed over. What is answered by that, if anything.
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

    /// What is missing; and whether nothing less than all of it is of use.
    pub(super) fn missing(&self) -> (Vec<Op>, bool) {
        let mut ops: Vec<Op> = self.ops.keys().copied().collect();
        ops.sort_unstable();
        (ops, self.questions.len() == 1)
    }
}
