//! Watches those who run tasks. The library's threads renew leases whatever a handler or a host does; so a host that
//! takes no events any more would keep its tasks for ever, and swallow new ones. After `host_timeout` it counts as dead:
//! nothing is claimed for it, and what it held goes back. It lives again when it looks for events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::shared::Shared;
use crate::executor::inbox::Inbox;
use crate::executor::metrics::count;
use crate::executor::task::TaskCore;
use crate::model::Level;

/// Leases after which a host counts as dead that takes no events, and a handler is told of that goes on without one.
const LEASES: u32 = 3;

/// Looks in the time after which a host is first told of.
const BEATS: u32 = 4;
const BEAT_MIN: Duration = Duration::from_millis(10);

/// A dead host that comes back is seen after this.
const BEAT_DEAD: Duration = Duration::from_millis(100);

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
        if let Some(host) = &mut host {
            host.look(passed);
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

impl<'a> Host<'a> {
    fn new(shared: &'a Shared, inbox: &'a Arc<dyn Inbox>) -> Self {
        let limit = shared.options.host_timeout.unwrap_or_else(|| shared.options.lease_duration.saturating_mul(LEASES));
        Self { shared, inbox: &**inbox, limit, heard: inbox.beat(), silent: Duration::ZERO, turns: None }
    }

    fn look(&mut self, passed: Duration) {
        // A poller that was freed has no host, and its worker drains.
        if self.inbox.is_closed() {
            return;
        }
        let heard = self.inbox.beat();
        if heard != self.heard {
            (self.heard, self.silent, self.turns) = (heard, Duration::ZERO, None);
            self.shared.set_host_dead(false);
            self.shared.no_trouble(HOST);
            return;
        }
        self.silent += passed;
        if self.silent < self.limit / LEASES {
            return;
        }
        let turns = self.turns.get_or_insert_with(|| whose_turn(self.shared, heard));
        if self.silent < self.limit {
            let told = format!("takes no events: its event loop is held up, or gone; {turns}");
            self.shared.troubled(HOST, Level::Warn, told);
            return;
        }
        let told = format!(
            "has taken no events for {:?} and counts as dead: it gets no tasks, and what it held goes back; {turns}",
            self.limit
        );
        if self.shared.set_host_dead(true) {
            count(&self.shared.core.metrics.counters.dead_hosts);
        }
        self.shared.troubled(HOST, Level::Error, told);
    }
}

/// The tasks that may hold the host up: it has taken them, or something of theirs, and has not given their turn back.
fn whose_turn(shared: &Shared, heard: Instant) -> String {
    let since = |task: Arc<TaskCore>| Some((task.turn_since().filter(|since| *since <= heard)?, task));
    let mut turns: Vec<_> = shared.held().into_iter().filter_map(since).collect();
    turns.sort_by_key(|(since, _)| std::cmp::Reverse(*since));
    if turns.is_empty() {
        return "it is no task's turn".to_owned();
    }
    let turns: Vec<_> = turns.into_iter().map(|(_, task)| task).collect();
    format!("whose turn it was, newest first: {}", names(&turns))
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
