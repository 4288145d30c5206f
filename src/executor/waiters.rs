//! Who waits for the end of an execution. One task for each executor listens to the store's notices, and only while
//! somebody waits; what notices miss, a set-based poll finds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::sync::{jittered, lock};
use crate::backend::{Notice, SharedBackend};
use crate::model::{BATCH_MAX, Id};

/// The poll that correctness rests on: it starts quick and grows while it finds nothing.
const POLL_FIRST: Duration = Duration::from_secs(1);
const POLL_LONGEST: Duration = Duration::from_secs(5);

/// Another process's commits come as one hint each: ask at most this often because of them.
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

/// One caller that waits; leaves when dropped.
pub(super) struct Waiter {
    inner: Arc<Inner>,
    id: Id,
    bell: Arc<Notify>,
}

impl Waiters {
    pub(super) fn new(backend: SharedBackend, runtime: tokio::runtime::Handle) -> Self {
        Self(Arc::new(Inner { backend, runtime, state: Mutex::default() }))
    }

    /// From here on an end of `id` rings the waiter's bell; so look at the store after this, not before.
    pub(super) fn enter(&self, id: Id) -> Waiter {
        let bell = Arc::new(Notify::new());
        let mut state = lock(&self.0.state);
        state.waiting.entry(id).or_default().push(Arc::clone(&bell));
        if !state.listening {
            state.listening = true;
            let notices = self.0.backend.notices();
            self.0.runtime.spawn(listen(Arc::downgrade(&self.0), notices));
        }
        drop(state);
        Waiter { inner: Arc::clone(&self.0), id, bell }
    }
}

impl Waiter {
    /// Returns when the execution may be over. A ring that came before is not lost.
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

    /// Asks the store which of the awaited executions are over. An error is left to the next poll: those who wait
    /// see it themselves when they look.
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

    /// True when nobody waits any more; then the next one starts a new listener.
    fn leave_if_idle(&self) -> bool {
        let mut state = lock(&self.state);
        if state.waiting.is_empty() {
            state.listening = false;
        }
        !state.listening
    }
}

/// What a bundle of notices asks for.
#[derive(Default)]
struct Bundle {
    ended: Vec<Id>,
    look: bool,
}

impl Bundle {
    fn add(&mut self, notice: Notice) {
        match notice {
            Notice::Ended(ids) => self.ended.extend(ids),
            Notice::Foreign => self.look = true,
            Notice::Work { .. } | Notice::Due(_) | Notice::Cancelling(_) | Notice::Arrived(_) | Notice::Lost(_) => {}
        }
    }

    /// Everything that is there already, so that a burst costs one round.
    fn drain(&mut self, notices: &mut Receiver<Notice>) {
        loop {
            match notices.try_recv() {
                Ok(notice) => self.add(notice),
                Err(TryRecvError::Lagged(_)) => self.look = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }
}

/// Holds the executor's part weakly: a listener that idles keeps no store open.
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
                Ok(notice) => bundle.add(notice),
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
            // No more notices: the poll alone goes on, for as long as somebody waits.
            tokio::time::sleep(POLL_FIRST).await;
        }
    }
}
