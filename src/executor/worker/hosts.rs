//! Watches those who run tasks. The library's threads renew leases whatever a handler or a host does; so a host that
//! takes no events any more would keep its tasks for ever, and swallow new ones. After `host_timeout` it counts as dead:
//! nothing is claimed for it, and what it held goes back; the leases of those whose turn it was end as at any death, so
//! that one that always holds its host up comes to its end too. It lives again when it looks for events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::backend::Renew;
use crate::executor::inbox::Inbox;
use crate::executor::log::LogRecord;
use crate::executor::metrics::{count, count_many};
use crate::executor::task::{TaskCore, flag};
use crate::model::Level;

/// Leases after which a host counts as dead that takes no events, and a handler is told of that goes on without one.
const LEASES: u32 = 3;

/// Looks in the time after which a host is first told of.
const BEATS: u32 = 4;
const BEAT_MIN: Duration = Duration::from_millis(10);

/// A dead host that comes back is seen after this.
const BEAT_DEAD: Duration = Duration::from_millis(100);

/// The lease that is left to those whose host died. Not none: a user's own store need not know what that is.
const LAST_LEASE: Duration = Duration::from_millis(1);

/// Tasks that a line of the log names.
const NAMES: usize = 5;

const HOST: &str = "host";
const HANDLERS: &str = "handlers";

pub(super) async fn keep(shared: Arc<Shared>) {
    let lease = shared.options.lease_duration;
    let mut host = shared.inbox.as_ref().map(|inbox| Host::new(&shared, inbox));
    let first = host.as_ref().map_or(lease, |host| host.limit.min(lease));
    let beat = (first / BEATS).max(BEAT_MIN);
    let mut before = Instant::now();
    loop {
        let dead = shared.host_is_dead();
        let pause = if dead { beat.min(BEAT_DEAD) } else { beat };
        tokio::time::sleep(pause).await;
        // While the process stood still, so did its host.
        let passed = before.elapsed().min(2 * pause);
        before = Instant::now();
        match host.as_mut().and_then(|host| host.look(passed)) {
            Some(News::Dead(tasks)) => end_leases(&shared, &tasks).await,
            // Its worker may have been removed with it.
            Some(News::Alive) => end_leases(&shared, &[]).await,
            None => {}
        }
        // What a dead host held ends when it lives again.
        if !dead {
            look_at_handlers(&shared);
        }
    }
}

struct Host<'a> {
    shared: &'a Shared,
    inbox: &'a dyn Inbox,
    limit: Duration,
    /// The last sign of life, and how long there has been none.
    heard: Instant,
    silent: Duration,
    /// Whose turn it was when silence began to matter.
    turns: Option<String>,
}

enum News {
    /// With the tasks that go with it.
    Dead(Vec<Arc<TaskCore>>),
    Alive,
}

impl<'a> Host<'a> {
    fn new(shared: &'a Shared, inbox: &'a Arc<dyn Inbox>) -> Self {
        let limit = shared.options.host_timeout.unwrap_or_else(|| shared.options.lease_duration.saturating_mul(LEASES));
        Self { shared, inbox: &**inbox, limit, heard: inbox.beat(), silent: Duration::ZERO, turns: None }
    }

    fn look(&mut self, passed: Duration) -> Option<News> {
        // A poller that was freed has no host, and its worker drains.
        if self.inbox.is_closed() {
            return None;
        }
        let heard = self.inbox.beat();
        if heard != self.heard {
            (self.heard, self.silent, self.turns) = (heard, Duration::ZERO, None);
            self.shared.no_trouble(HOST);
            return self.shared.set_host_dead(false).then_some(News::Alive);
        }
        self.silent += passed;
        if self.silent < self.limit / LEASES {
            return None;
        }
        let turns = self.turns.get_or_insert_with(|| told_of(&whose_turn(self.shared, heard)));
        if self.silent < self.limit {
            let told = format!("takes no events: its event loop is held up, or gone; {turns}");
            self.shared.troubled(HOST, Level::Warn, told);
            return None;
        }
        let told = format!(
            "has taken no events for {:?} and counts as dead: it gets no tasks, and what it held goes back; {turns}",
            self.limit
        );
        self.shared.troubled(HOST, Level::Error, told);
        if self.shared.host_is_dead() {
            return None;
        }
        count(&self.shared.core.metrics.counters.dead_hosts);
        // They are lost before all others are given back.
        let mut turns = whose_turn(self.shared, heard);
        turns.retain(|task| task.lose(flag::LOST));
        self.shared.forget(&turns);
        self.shared.set_host_dead(true);
        Some(News::Dead(turns))
    }
}

/// The tasks that may hold the host up, the newest first: it has taken them, or something of theirs, and has not given
/// their turn back.
fn whose_turn(shared: &Shared, heard: Instant) -> Vec<Arc<TaskCore>> {
    let since = |task: Arc<TaskCore>| Some((task.turn_since().filter(|since| *since <= heard)?, task));
    let mut turns: Vec<_> = shared.held().into_iter().filter_map(since).collect();
    turns.sort_by_key(|(since, _)| std::cmp::Reverse(*since));
    turns.into_iter().map(|(_, task)| task).collect()
}

fn told_of(turns: &[Arc<TaskCore>]) -> String {
    if turns.is_empty() {
        return "it is no task's turn".to_owned();
    }
    format!("whose turn it was, newest first: {}", names(turns))
}

/// Their leases end now without a word, as if the process had died; and the store hears of the worker.
async fn end_leases(shared: &Shared, tasks: &[Arc<TaskCore>]) {
    count_many(&shared.core.metrics.counters.lost_leases, tasks.len() as u64);
    let held = tasks.iter().map(|task| task.held).collect();
    let renew = Renew { worker_id: shared.worker_id.clone(), held, lease: LAST_LEASE };
    match shared.core.backend.renew(renew).await {
        Ok(_) => shared.due.no_later_than(Instant::now() + LAST_LEASE),
        Err(error) => shared.log(Level::Warn, || {
            LogRecord::new("stent.worker", format!("{HOST}: what it held is kept until its leases end: {error}"))
        }),
    }
}

fn names(tasks: &[Arc<TaskCore>]) -> String {
    let mut names: Vec<_> = tasks.iter().take(NAMES).map(|task| task.name()).collect();
    if tasks.len() > NAMES {
        names.push(format!("{} more", tasks.len() - NAMES));
    }
    names.join(", ")
}

/// Those that go on without a lease keep their slots; without a slot nothing that waits for one will begin here.
fn look_at_handlers(shared: &Shared) {
    if shared.is_stuck() {
        shared.ring();
    }
    let strays = shared.strays.older_than(shared.options.lease_duration.saturating_mul(LEASES));
    if strays.is_empty() {
        shared.no_trouble(HANDLERS);
    } else {
        let told = format!("go on long after their leases were over, and keep their slots: {}", names(&strays));
        shared.troubled(HANDLERS, Level::Warn, told);
    }
}
