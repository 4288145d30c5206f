//! Pauses: what is paused is in no worker's reach.

use stent::backend::{NewPause, Pausable, Pause};
use stent::model::{Error, Result};

use super::state::{Job, Lane, State};

fn key(what: &Pausable) -> (&'static str, String) {
    (what.kind(), what.name().to_owned())
}

impl State {
    pub fn pause(&mut self, new: NewPause) {
        let NewPause { what, reason, by } = new;
        let since = self.pauses.get(&key(&what)).map_or(self.now, |pause| pause.since);
        let (queue, function) = what.clone().into_names();
        self.pauses.insert(key(&what), Pause { queue, function, since, reason, by, running: 0 });
        // What waits for one worker waits with the others.
        let held: Vec<_> = self.tasks.values().filter(|job| self.is_paused(job)).map(|job| job.record.id).collect();
        for id in held {
            let job = self.tasks.get_mut(&id).expect("it was found");
            if matches!(job.lane, Some(Lane::Worker(_))) {
                (job.lane, job.due) = (Some(Lane::Route), None);
            }
        }
    }

    pub fn unpause(&mut self, what: &Pausable) -> Result<()> {
        self.pauses.remove(&key(what)).map(drop).ok_or_else(|| Error::not_found("it is not paused"))
    }

    pub fn is_paused(&self, job: &Job) -> bool {
        let Some(route) = &job.route else { return false };
        self.pauses.values().any(|pause| pause.holds_for(route.queue.as_deref(), &route.function))
    }

    /// Queues first.
    pub fn paused(&self) -> Vec<Pause> {
        let held = |pause: &Pause| {
            let holds = |job: &&Job| pause.holds_for(job.record.queue.as_deref(), &job.record.step_name);
            self.tasks.values().filter(|job| job.runs() && job.lease.is_some()).filter(holds).count() as u64
        };
        let told = |pause: &Pause| Pause { running: held(pause), ..pause.clone() };
        let of = |kind: &'static str| self.pauses.iter().filter(move |((of, _), _)| *of == kind);
        of("queue").chain(of("function")).map(|(_, pause)| told(pause)).collect()
    }
}
