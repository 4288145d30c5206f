//! Cleanups: the root of a cancelled execution is run once more.

use stent::backend::Held;
use stent::model::{ExecutionState, Id, TaskState};

use super::ends::{End, Ending};
use super::state::State;

impl State {
    /// Nobody runs them any more: those that are to clean up rest, all others end.
    pub fn stop(&mut self, tasks: Vec<Id>) {
        let (resting, over): (Vec<Id>, Vec<Id>) = tasks.into_iter().partition(|task| self.is_to_clean_up(*task));
        resting.into_iter().for_each(|root| self.rest(root));
        self.finish(over.into_iter().map(|task| End::now(task, Ending::Cancelled)).collect());
    }

    pub fn stop_held(&mut self, held: &[Held]) {
        self.stop(held.iter().map(|held| held.task).collect());
        held.iter().for_each(|held| self.close(held.execution));
    }

    fn is_to_clean_up(&self, task: Id) -> bool {
        let Some(job) = self.tasks.get(&task) else { return false };
        let Some(run) = self.executions.get(&job.record.execution_id) else { return false };
        let has_begun = job.ops > 0 || job.begun.is_some() || job.record.retries > 0 || job.deaths > 0;
        let function = self.functions.get(&job.record.step_name);
        let wants_one = function.is_some_and(|options| options.cleanup.is_some()) && has_begun && job.joins.is_none();
        job.is_open()
            && run.root == Some(task)
            && run.state() == ExecutionState::Cancelling
            && run.cleanup_due.is_none()
            && (run.cleanup.is_some() || wants_one)
    }

    fn rest(&mut self, root: Id) {
        let job = self.tasks.get_mut(&root).expect("it is to clean up");
        job.let_go();
        (job.begun, job.parked) = (None, None);
        (job.record.state, job.record.worker_id) = (TaskState::Waiting, None);
        job.record.fence += 1;
        let time = self.functions.get(&job.record.step_name).and_then(|options| options.cleanup);
        let run = self.executions.get_mut(&job.record.execution_id).expect("it is to clean up");
        run.cleanup = run.cleanup.or(time);
    }

    /// True: the cleanup has begun, instead of the end.
    pub fn begin_cleanup(&mut self, execution: Id) -> bool {
        let now = self.now;
        let Some(run) = self.executions.get_mut(&execution) else { return false };
        let root = run.root.filter(|root| self.tasks.get(root).is_some_and(|job| job.is_open()));
        let (Some(time), Some(root), None) = (run.cleanup, root, run.cleanup_due) else { return false };
        (run.cleans_up, run.cleanup_due) = (true, Some(now.after(time)));
        let mut children: Vec<_> =
            self.children(root).iter().filter_map(|id| Some((self.tasks[id].op?, *id))).collect();
        children.sort_unstable();
        for (_, child) in &children {
            if self.tasks[child].arrival == Some(0) {
                let arrival = self.next_arrival(root);
                self.deliver(root, arrival, None);
                self.tasks.get_mut(child).expect("it is a child").arrival = Some(arrival);
            }
        }
        let job = self.tasks.get_mut(&root).expect("it is open");
        job.offer(None);
        job.cleanup = Some(children.last().map_or(0, |(op, _)| *op));
        (job.crashes, job.company, job.deadline, job.cache, job.wait) = (0, None, None, None, None);
        (job.record.started_at, job.record.scheduled_for) = (None, None);
        job.record.fence += 1;
        true
    }

    /// Does this root end as cancelled, whatever it says?
    pub fn has_cleaned_up(&self, task: Id) -> bool {
        let job = &self.tasks[&task];
        let run = self.executions.get(&job.record.execution_id);
        job.cleanup.is_some() && run.is_some_and(|run| run.ending.is_some())
    }

    pub fn close_cleaned(&mut self) {
        std::mem::take(&mut self.cleaned).into_iter().for_each(|execution| self.close(execution));
    }
}
