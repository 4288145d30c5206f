//! How long a worker that was told to stop waits for its store, whatever time the store takes for itself.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::troubles::Troubles;

/// How long a stop waits, after its time-out, until the leases are given back to the store.
pub(super) const GIVE_BACK: Duration = Duration::from_secs(2);

/// Between looks at leases that run out, while a store is silent.
const LOOK: Duration = Duration::from_millis(50);

/// Something that is said once.
#[derive(Default)]
struct Told {
    at: OnceLock<Instant>,
    bell: Notify,
}

impl Told {
    /// True: that is news.
    fn tell(&self) -> bool {
        let news = self.at.set(Instant::now()).is_ok();
        self.bell.notify_waiters();
        news
    }

    fn is(&self) -> bool {
        self.at.get().is_some()
    }

    async fn when(&self) -> Instant {
        loop {
            let told = self.bell.notified();
            match self.at.get() {
                Some(at) => return *at,
                None => told.await,
            }
        }
    }
}

#[derive(Default)]
pub(super) struct Patience {
    drain: Told,
    /// A stop has timed out.
    abandon: Told,
}

impl Patience {
    /// True: that is news.
    pub(super) fn drain(&self) -> bool {
        self.drain.tell()
    }

    pub(super) fn draining(&self) -> bool {
        self.drain.is()
    }

    pub(super) fn abandon(&self) {
        self.abandon.tell();
    }

    pub(super) fn abandoned(&self) -> bool {
        self.abandon.is()
    }

    pub(super) async fn when_abandoned(&self) {
        self.abandon.when().await;
    }

    /// Ends when a call to the store is not waited for any more: a stop has timed out some time ago; or the worker drains, and
    /// the store does not answer, as far as is known, and no lease lasts that the call is for.
    pub(super) async fn is_over(&self, troubles: &Troubles, lease_holds: impl Fn() -> bool) {
        tokio::select! {
            at = self.abandon.when() => tokio::time::sleep_until((at + GIVE_BACK).into()).await,
            () = self.is_in_vain(troubles, lease_holds) => {}
        }
    }

    async fn is_in_vain(&self, troubles: &Troubles, lease_holds: impl Fn() -> bool) {
        let since = self.drain.when().await;
        tokio::time::sleep_until((since + GIVE_BACK).into()).await;
        while !troubles.store_is_silent() || lease_holds() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// For calls that concern no lease.
pub(super) fn no_lease() -> bool {
    false
}
