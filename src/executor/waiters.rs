//! Callers that wait for executions to end. While there are any, one async task of the executor listens to the store's
//! notices; a poll finds what the notices miss, with one query for all callers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::sync::Notify;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::sync::{jittered, lock};
use crate::backend::{Notice, SharedBackend};
use crate::model::{BATCH_MAX, Id};

/// The interval of the poll, which finds ends whose notice was lost. It grows while nothing is found.
const POLL_FIRST: Duration = Duration::from_secs(1);
const POLL_LONGEST: Duration = Duration::from_secs(5);

/// A commit of another process comes as a hint without details. Because of these the store is queried at most this
/// often.
const FOREIGN_PAUSE: Duration = Duration::from_millis(10);

pub(super) struct Waiters(Arc<Inner>);

struct Inner {
    backend: SharedBackend,
    runtime: tokio::runtime::Handle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: HashMap<Id, Vec<Arc<Notify>>>,
    listening: bool,
}

/// A caller that waits. It is removed when this is dropped.
pub(super) struct Waiter {
    inner: Arc<Inner>,
    id: Id,
    bell: Arc<Notify>,
}

impl Waiters {
    pub(super) fn new(backend: SharedBackend, runtime: tokio::runtime::Handle) -> Self {
        Self(Arc::new(Inner { backend, runtime, state: Mutex::default() }))
    }

    /// Registers a caller for the end of `id`. It must query the store after this, not before, or it could miss the
    /// end.
    pub(super) fn enter(&self, id: Id) -> Waiter {
        let bell = Arc::new(Notify::new());
        let mut state = lock(&self.0.state);
        state.waiting.entry(id).or_default().push(Arc::clone(&bell));
        if !state.listening {
            state.listening = true;
            let notices = self.0.backend.notices();
            self.0.runtime.spawn(listen(Arc::downgrade(&self.0), notices).boxed());
        }
        drop(state);
        Waiter { inner: Arc::clone(&self.0), id, bell }
    }
}

impl Waiter {
    /// Returns when the execution may have ended, also if the notification came before this call.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = lock(&self.inner.state);
        if let Some(bells) = state.waiting.get_mut(&self.id) {
            bells.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
            if bells.is_empty() {
                state.waiting.remove(&self.id);
            }
        }
    }
}

impl Inner {
    fn ring(&self, ended: &[Id]) -> bool {
        let state = lock(&self.state);
        let mut rung = false;
        for bell in ended.iter().filter_map(|id| state.waiting.get(id)).flatten() {
            bell.notify_one();
            rung = true;
        }
        rung
    }

    /// Queries which of the awaited executions have ended. Errors are left to the next poll: the callers see them in
    /// their own queries.
    async fn ask(&self) -> bool {
        let ids: Vec<Id> = lock(&self.state).waiting.keys().copied().collect();
        let mut rung = false;
        for chunk in ids.chunks(BATCH_MAX) {
            if let Ok(ended) = self.backend.ended_among(chunk.to_vec()).await {
                rung |= self.ring(&ended);
            }
        }
        rung
    }

    /// Ends the listener if nobody waits; the next caller starts a new one.
    fn leave_if_idle(&self) -> bool {
        let mut state = lock(&self.state);
        if state.waiting.is_empty() {
            state.listening = false;
        }
        !state.listening
    }
}

/// Several notices, merged.
#[derive(Default)]
struct Bundle {
    ended: Vec<Id>,
    look: bool,
}

impl Bundle {
    fn add(&mut self, notice: &Notice) {
        match notice {
            Notice::Ended(ids) => self.ended.extend_from_slice(ids),
            Notice::Foreign => self.look = true,
            Notice::Work { .. } | Notice::Due(_) | Notice::Cancelling(_) | Notice::Arrived(_) | Notice::Lost(_) => {}
        }
    }

    /// Takes all notices that are there, so that many cost one round.
    fn drain(&mut self, notices: &mut Receiver<Notice>) {
        loop {
            match notices.try_recv() {
                Ok(notice) => self.add(&notice),
                Err(TryRecvError::Lagged(_)) => self.look = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }
}

/// The reference is weak, so that an idle listener does not keep the store open.
async fn listen(inner: Weak<Inner>, mut notices: Receiver<Notice>) {
    let mut interval = POLL_FIRST;
    let mut poll_at = Instant::now() + jittered(interval);
    let mut foreign = false;
    let mut asked = Instant::now();
    loop {
        let wake_at = if foreign { poll_at.min(asked + FOREIGN_PAUSE) } else { poll_at };
        let mut bundle = Bundle::default();
        let mut closed = false;
        tokio::select! {
            received = notices.recv() => match received {
                Ok(notice) => bundle.add(&notice),
                Err(RecvError::Lagged(_)) => bundle.look = true,
                Err(RecvError::Closed) => closed = true,
            },
            () = tokio::time::sleep_until(wake_at.into()) => {}
        }
        bundle.drain(&mut notices);
        let Some(inner) = inner.upgrade() else { return };
        inner.ring(&bundle.ended);
        foreign |= bundle.look;
        let now = Instant::now();
        let poll = now >= poll_at;
        if poll && inner.leave_if_idle() {
            return;
        }
        if poll || (foreign && now >= asked + FOREIGN_PAUSE) {
            foreign = false;
            let found = inner.ask().await;
            asked = Instant::now();
            if poll {
                interval = if found { POLL_FIRST } else { (interval * 2).min(POLL_LONGEST) };
                poll_at = asked + jittered(interval);
            }
        }
        if closed {
            // No more notices come. Only the poll goes on, as long as somebody waits.
            tokio::time::sleep(POLL_FIRST).await;
        }
    }
}
