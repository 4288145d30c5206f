//! Which tasks of a journal are copied, and as what. Pure: nothing is read or written here.

use std::collections::HashMap;

use super::notes::{Notes, Place};
use crate::backend::decide::{self, Copy, Node};
use crate::model::{Id, Op, Task, TaskState, Timestamp, child_id};

/// The operations of one run of a task, in the order in which they ended.
fn journal(tasks: &[Task], parent: Id, run: u32) -> Vec<(Place, &Task)> {
    let children = tasks.iter().filter(|task| task.parent_task_id == Some(parent));
    let placed = children.filter_map(|task| Place::of(task).map(|place| (place, task)));
    let mut journal: Vec<(Place, &Task)> = placed.filter(|(place, _)| place.run == run).collect();
    journal.sort_by_key(|(place, task)| (task.completed_at, place.op));
    journal
}

/// The last run of a task that has ended: its notes are gone, so it is found by its children.
fn last_run(tasks: &[Task], parent: Id) -> u32 {
    let children = tasks.iter().filter(|task| task.parent_task_id == Some(parent));
    children.filter_map(Place::of).map(|place| place.run).max().unwrap_or(0)
}

/// The first operation that a retry runs again.
pub(super) fn opened_at(tasks: &[Task], parent: Id, run: u32) -> Option<Op> {
    let journal = journal(tasks, parent, run).into_iter();
    journal.filter(|(_, child)| child.state == TaskState::Failed).map(|(place, _)| place.op).min()
}

/// The new root and the tasks below it, for a dead letter's replay; `path` as for [`decide::copies`]. `None`: the
/// letter's task does not exist any more.
/// `cleanup`: the last operation of the root before it cleaned up.
pub(super) fn replayed(
    path: &[Id],
    tasks: &[Task],
    cleanup: Option<Op>,
    new: Id,
    now: Timestamp,
) -> Option<(Task, Vec<Task>)> {
    let nodes = |parent: &Id| {
        let before = cleanup.filter(|_| path.last() == Some(parent));
        let journal = journal(tasks, *parent, last_run(tasks, *parent));
        journal.iter().zip(1..).map(|child| node(child, before)).collect()
    };
    let journals: Vec<Vec<Node>> = path.iter().map(nodes).collect();
    let made = made(&decide::copies(new, path, &journals), tasks, new, |_| 0, now);
    // They run without idempotency keys, which other tasks may have by now.
    let mut made = made.into_iter().map(|task| Task { idempotency_key: None, ..task });
    let mut root = made.next()?;
    if let Some(mut notes) = Notes::of(&root).ok().filter(|_| cleanup.is_some()) {
        notes.cleanup = cleanup;
        notes.keep(&mut root);
    }
    Some((root, made.collect()))
}

/// Arrival numbers were in the parent's notes, which are gone, so they are given again.
/// `before`: what was issued up to there and cancelled was over when the root cleaned up.
fn node(((place, task), number): (&(Place, &Task), u64), before: Option<Op>) -> Node {
    // Else it is unknown whether its handler cancelled it or the end of a task above, so the replay asks for it again.
    let was_over = task.state == TaskState::Cancelled && Some(place.op) <= before;
    let arrived = was_over || matches!(task.state, TaskState::Completed | TaskState::Failed);
    let arrival = arrived.then_some(number);
    Node { id: task.id, op: Some(place.op), key: place.key.clone(), state: task.state, arrival }
}

/// The copies for a retry that runs failed children again, with what completed below them. The SQL stores run the same
/// tasks again; here a task that has ended can't change, so there is a new run with new tasks.
pub(super) fn reopened(tasks: &[Task], task: Id, run: u32) -> Vec<Copy> {
    let mut plan = Vec::new();
    // Old task and run, and the new ones.
    let mut open = vec![((task, run), (task, run + 1))];
    while let Some(((old, old_run), (new, new_run))) = open.pop() {
        for (place, child) in journal(tasks, old, old_run) {
            let again = child.state == TaskState::Failed && child.kind.is_run();
            if again || child.state == TaskState::Completed {
                let (id, run) = (child.id, last_run(tasks, child.id));
                let new_id = child_id(new, new_run, &place.key);
                plan.push(Copy { id, new_id, new_parent: Some(new), again, opened: opened_at(tasks, id, run) });
                if again {
                    open.push(((id, run), (new_id, 0)));
                }
            }
        }
    }
    plan
}

/// The planned tasks. `run_of`: the run of a new parent.
pub(super) fn made(
    plan: &[Copy],
    tasks: &[Task],
    execution: Id,
    run_of: impl Fn(Id) -> u32,
    now: Timestamp,
) -> Vec<Task> {
    let by_id: HashMap<Id, &Task> = tasks.iter().map(|task| (task.id, task)).collect();
    let mut made = Vec::with_capacity(plan.len());
    for copy in plan {
        let Some(old) = by_id.get(&copy.id).copied() else { continue };
        let place = copy.new_parent.zip(Place::of(old));
        let step_key = place.map(|(parent, place)| Place { run: run_of(parent), ..place }.to_text());
        let task =
            Task { id: copy.new_id, execution_id: execution, parent_task_id: copy.new_parent, step_key, ..old.clone() };
        let below = plan.iter().filter(|below| below.new_parent == Some(copy.new_id));
        let below = below.filter_map(|below| Some((below, by_id.get(&below.id).copied()?)));
        made.push(if copy.again { afresh(task, copy.opened, below, now) } else { task });
    }
    made
}

/// A task that runs again, with the number of operations that are copied for it.
fn afresh<'a>(
    task: Task,
    opened: Option<Op>,
    below: impl Iterator<Item = (&'a Copy, &'a Task)>,
    now: Timestamp,
) -> Task {
    let place = |(copy, task): (&Copy, &Task)| Some((task.completed_at, Place::of(task)?.op, copy.again));
    let mut below: Vec<(Option<Timestamp>, Op, bool)> = below.filter_map(place).collect();
    below.sort_unstable();
    let notes = Notes {
        ops: below.iter().map(|(_, op, _)| *op).max().unwrap_or(0),
        opened,
        arrived: below.iter().filter(|(.., again)| !again).map(|(_, op, _)| *op).collect(),
        ..Notes::default()
    };
    let mut task = Task {
        state: TaskState::Pending,
        retries: 0,
        error: None,
        started_at: None,
        completed_at: None,
        scheduled_for: Some(now),
        worker_id: None,
        lease_expires_at: None,
        ..task
    };
    notes.keep(&mut task);
    task
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::decide::root_task_id;
    use crate::model::{Failure, TaskKind};

    const OLD: Id = Id::from_u128(1);
    const NEW: Id = Id::from_u128(2);
    const NOW: Timestamp = Timestamp::from_micros(1000);

    /// A task that ended at a time; 0: it goes on.
    fn task(id: Id, parent: Option<Id>, place: (u32, Op), state: TaskState, at: i64) -> Task {
        let place = Place { run: place.0, op: place.1, key: format!("f#{}", place.1) };
        Task {
            state,
            parent_task_id: parent,
            step_key: parent.map(|_| place.to_text()),
            completed_at: (at > 0).then(|| Timestamp::from_micros(at)),
            error: (state == TaskState::Failed).then(|| Failure::new("Oops", "")),
            idempotency_key: Some("k".to_owned()),
            worker_id: Some("w~7".to_owned()),
            retries: 2,
            ..Task::new(id, OLD, TaskKind::Activity, "f", Timestamp::from_micros(1))
        }
    }

    /// root ← (1 completed late, 2 middle, 3 failed before it, 4 failed after it, 5 cancelled); middle ← (1 completed in
    /// its first run; in its second: 1 the letter's, 2 completed).
    fn tree() -> (Vec<Task>, Id, Id) {
        use TaskState::{Cancelled, Completed, Failed};
        let root = root_task_id(OLD);
        let id = Id::from_u128;
        let (middle, letter) = (id(12), id(22));
        let tasks = vec![
            task(root, None, (0, 0), Failed, 60),
            task(id(11), Some(root), (0, 1), Completed, 55),
            task(middle, Some(root), (0, 2), Failed, 50),
            task(id(13), Some(root), (0, 3), Failed, 20),
            task(id(14), Some(root), (0, 4), Failed, 52),
            task(id(15), Some(root), (0, 5), Cancelled, 30),
            task(id(21), Some(middle), (0, 1), Completed, 10),
            task(letter, Some(middle), (1, 1), Failed, 40),
            task(id(23), Some(middle), (1, 2), Completed, 35),
        ];
        (tasks, middle, letter)
    }

    #[test]
    fn a_replay_has_the_journal_up_to_the_failure_and_the_failed_path_afresh() {
        let (tasks, middle, letter) = tree();
        let (root, below) = replayed(&[letter, middle, root_task_id(OLD)], &tasks, None, NEW, NOW).unwrap();
        assert_eq!((root.id, root.execution_id, root.step_key.as_deref()), (root_task_id(NEW), NEW, None));
        let told = |task: &Task| (Place::of(task).unwrap().to_text(), task.state);
        let pending = |place: &str| (place.to_owned(), TaskState::Pending);
        let kept = |place: &str, state| (place.to_owned(), state);
        let all: Vec<_> = below.iter().map(told).collect();
        assert_eq!(
            all,
            [
                kept("0.3 f#3", TaskState::Failed),
                pending("0.2 f#2"),
                kept("0.1 f#1", TaskState::Completed),
                kept("0.2 f#2", TaskState::Completed),
                pending("0.1 f#1"),
            ]
        );
        let (middle, letter) = (&below[1], &below[4]);
        assert_eq!(middle.id, child_id(root.id, 0, "f#2"));
        assert_eq!((letter.parent_task_id, letter.id), (Some(middle.id), child_id(middle.id, 0, "f#1")));
        for again in [&root, middle, letter] {
            assert_eq!((again.retries, &again.error, &again.worker_id), (0, &None, &None));
            assert_eq!((again.scheduled_for, &again.idempotency_key), (Some(NOW), &None));
        }
        let notes = Notes::of(&root).unwrap();
        assert_eq!((notes.run, notes.ops, notes.opened, notes.arrived), (0, 3, Some(2), vec![3, 1]));
        assert!(replayed(&[], &tasks, None, NEW, NOW).is_none());
    }

    #[test]
    fn a_retry_opens_what_failed_down_to_its_end_in_a_new_run() {
        let (tasks, middle, letter) = tree();
        let root = root_task_id(OLD);
        let plan = reopened(&tasks, root, 0);
        let again: Vec<Id> = plan.iter().filter(|copy| copy.again).map(|copy| copy.id).collect();
        assert_eq!(again, [Id::from_u128(13), middle, Id::from_u128(14), letter]);
        let run_of = |parent| if parent == root { 1 } else { 0 };
        let made = made(&plan, &tasks, OLD, run_of, NOW);
        let new_middle = made.iter().find(|task| task.id == child_id(root, 1, "f#2")).unwrap();
        assert_eq!(Place::of(new_middle).unwrap().to_text(), "1.2 f#2");
        assert_eq!(new_middle.idempotency_key.as_deref(), Some("k"));
        let notes = Notes::of(new_middle).unwrap();
        assert_eq!((notes.run, notes.ops, notes.opened, notes.arrived), (0, 2, Some(1), vec![2]));
        assert_eq!(opened_at(&tasks, root, 0), Some(2));
        let below: Vec<_> = made.iter().filter(|task| task.parent_task_id == Some(new_middle.id)).collect();
        assert_eq!(below.iter().map(|task| task.state).collect::<Vec<_>>(), [TaskState::Completed, TaskState::Pending]);
        let of_root = made.iter().filter(|task| task.parent_task_id == Some(root));
        assert!(of_root.clone().count() == 4 && of_root.clone().all(|task| task.state != TaskState::Cancelled));
    }
}
