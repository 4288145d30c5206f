//! What tasks have to say to the store, until the worker's loop takes it.

use std::sync::{Arc, Mutex};

use crate::backend::Transition;
use crate::executor::sync::lock;
use crate::executor::task::TaskCore;

/// A transaction beside another is worth its cost for so many ends.
pub(super) const CROWD: usize = 32;

/// A transition for the store, with its task.
pub(super) struct Message {
    pub(super) task: Arc<TaskCore>,
    pub(super) transition: Transition,
    /// How often the store has refused an end of this lease.
    pub(super) refusals: u32,
}

/// `None`: the worker has stopped, and nothing is recorded any more. A message has its task, and that its worker: one
/// that nobody takes would keep all three for ever.
pub(super) struct Outbox(Mutex<Option<Vec<Message>>>);

impl Default for Outbox {
    fn default() -> Self {
        Self(Mutex::new(Some(Vec::new())))
    }
}

impl Outbox {
    /// True: the loop is to be woken. It takes everything at once, so it is when this is the first, or when they are a
    /// crowd.
    pub(super) fn put(&self, message: Message) -> bool {
        let mut open = lock(&self.0);
        let Some(messages) = &mut *open else { return false };
        messages.push(message);
        let count = messages.len();
        count == 1 || count == CROWD
    }

    pub(super) fn empty(&self, into: &mut impl Extend<Message>) {
        into.extend(lock(&self.0).iter_mut().flat_map(|messages| messages.drain(..)));
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.0).as_ref().map_or(0, Vec::len)
    }

    pub(super) fn close(&self) {
        let left = lock(&self.0).take();
        drop(left);
    }
}
