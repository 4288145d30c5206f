//! Tasks that were at a worker when it died. That one of them begins is recorded before it does, and it runs where only
//! so many bodies run at once as its record says: after a few deaths the one that kills its worker is alone when it does.
//!
//! While one waits for bodies that run to end, no other begins; and nothing is claimed that could not begin. That has a
//! time, which doubles with each death: no death holds a worker up for long, and what kills late is found all the same.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::outbox::Message;
use super::run::Run;
use super::shared::Shared;
use crate::executor::task::{LeaseHolder as _, TaskCore, flag};

/// A slot that is freed while one waits for it is seen after this.
const LOOK: Duration = Duration::from_millis(10);

/// The time of a suspect doubles no more often than this.
const DOUBLINGS_MAX: u32 = 16;

#[derive(Default)]
pub(super) struct Suspects {
    waiting: VecDeque<Run>,
    begun: Vec<Begun>,
    /// Others may not use all the slots.
    narrow: bool,
}

/// A suspect that begins, or has begun.
struct Begun {
    task: Arc<TaskCore>,
    /// Until it is recorded that it begins.
    run: Option<Run>,
    /// At most so many bodies run at once beside it, itself included.
    bodies: usize,
    /// Afterwards it is recorded that more may.
    until: Instant,
    /// That is on its way to the store.
    widening: bool,
}

/// How long one may hold up others: while it waits, and again while it runs.
fn time_of(shared: &Shared, task: &TaskCore) -> Duration {
    let doubled = 2_u32.saturating_pow(task.claimed.deaths.min(DOUBLINGS_MAX));
    shared.options.lease_duration.saturating_mul(doubled)
}

fn bodies_of(shared: &Shared, task: &TaskCore, now: Instant) -> usize {
    let slots = shared.options.max_concurrency;
    if now.duration_since(task.claimed_at()) >= time_of(shared, task) {
        return slots;
    }
    let company = task.claimed.company.map_or(slots, |company| usize::try_from(company).unwrap_or(slots));
    company.clamp(1, slots)
}

impl Begun {
    /// It runs, and holds up others, and that is to end.
    fn is_narrow(&self, slots: usize) -> bool {
        self.run.is_none() && self.bodies < slots && !self.widening
    }
}

impl Suspects {
    /// At most so many bodies may run at once.
    fn limit(&self, slots: usize) -> usize {
        self.begun.iter().map(|begun| begun.bodies).min().unwrap_or(slots)
    }

    /// How many tasks the worker may have, of those that it could begin; none: it is as always.
    pub(super) fn room(&self, slots: usize) -> Option<usize> {
        if !self.waiting.is_empty() {
            return Some(0);
        }
        Some(self.limit(slots)).filter(|limit| *limit < slots)
    }

    /// When it wants to be looked at again.
    pub(super) fn next_look(&self, slots: usize) -> Option<Instant> {
        if !self.waiting.is_empty() {
            return Some(Instant::now() + LOOK);
        }
        let narrow = self.begun.iter().filter(|begun| begun.is_narrow(slots));
        narrow.map(|begun| begun.until).min()
    }

    /// Lets those begin that can. What is to be recorded of them is added to `pending`.
    pub(super) fn go_on(&mut self, shared: &Shared, pending: &mut VecDeque<Message>) {
        self.waiting.extend(shared.take_suspects());
        let (slots, now) = (shared.options.max_concurrency, Instant::now());
        if self.waiting.is_empty() && self.begun.is_empty() {
            // The last one may have gone without a word: it was cancelled, refused, or recorded that others may begin.
            if std::mem::take(&mut self.narrow) {
                shared.allow(slots);
            }
            return;
        }
        self.narrow = true;
        let in_vain = shared.draining() || shared.host_is_dead();
        self.waiting.retain(|run| {
            let goes_on = !in_vain && !run.task.is(flag::GONE | flag::CANCELLED);
            if !goes_on {
                run.task.give_back();
            }
            goes_on
        });
        // What has ended is at the store too before another begins: or that one's deed would be charged to it. A body that
        // has lost its lease is charged with nothing more, but still runs beside the others.
        self.begun.retain_mut(|begun| {
            let held = begun.run.is_some() || shared.holds(&begun.task);
            if !held {
                begun.bodies = slots;
            }
            held || begun.task.is_running()
        });
        for begun in &mut self.begun {
            if begun.is_narrow(slots) && now >= begun.until {
                begun.widening = true;
                pending.push_back(shared.mark(&begun.task, slots));
            }
        }
        // Each that has begun is a body, from before it is given to a slot until its end is recorded.
        let others = loop {
            let limit = self.limit(slots);
            let Some(first) = self.waiting.front() else { break limit.saturating_sub(self.begun.len()) };
            let bodies = bodies_of(shared, &first.task, now);
            let most = limit.min(bodies);
            // First nobody else begins, then those that run are counted.
            let others = most.saturating_sub(self.begun.len() + 1);
            shared.allow(others);
            if self.begun.len() + shared.pool.used_by_others() >= most {
                break others;
            }
            if let Some(run) = self.waiting.pop_front() {
                let task = Arc::clone(&run.task);
                pending.push_back(shared.mark(&task, bodies));
                let until = now + time_of(shared, &task);
                self.begun.push(Begun { task, run: Some(run), bodies, until, widening: false });
            }
        };
        shared.allow(others);
    }

    fn place_of(&self, task: &Arc<TaskCore>) -> Option<usize> {
        self.begun.iter().position(|begun| Arc::ptr_eq(&begun.task, task))
    }

    /// What was said of it is recorded: it begins, or others may.
    pub(super) fn recorded(&mut self, shared: &Shared, task: &Arc<TaskCore>) {
        let Some(place) = self.place_of(task) else { return };
        let begun = &mut self.begun[place];
        match begun.run.take() {
            Some(run) => shared.push(vec![run], Vec::new()),
            None => begun.bodies = shared.options.max_concurrency,
        }
    }

    /// That can't be recorded. If it has begun, it is tried again when it has run for as long once more.
    pub(super) fn refused(&mut self, shared: &Shared, task: &Arc<TaskCore>) {
        let Some(place) = self.place_of(task) else { return };
        let begun = &mut self.begun[place];
        if let Some(run) = begun.run.take() {
            run.task.give_back();
            self.begun.swap_remove(place);
        } else {
            begun.widening = false;
            begun.until = Instant::now() + time_of(shared, task);
        }
    }
}
