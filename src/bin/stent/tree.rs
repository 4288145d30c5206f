//! An execution's tasks as a tree, as far as a person wants to see it. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use stent::model::{Id, Task, TaskState};

use crate::words::{number, visible};

/// Of more children than this, those that have not completed are shown first.
const CHILDREN: usize = 20;

pub enum Line<'a> {
    Task {
        /// With the branches before it.
        name: String,
        task: &'a Task,
    },
    /// What is not shown.
    Rest(String),
}

/// What is still to be told.
enum Next<'a> {
    Task { branch: String, under: String, task: &'a Task },
    Rest(String),
}

/// `all`: every one of them.
pub fn lines(tasks: &[Task], all: bool) -> Vec<Line<'_>> {
    let known: HashSet<Id> = tasks.iter().map(|task| task.id).collect();
    let mut below: HashMap<Option<Id>, Vec<&Task>> = HashMap::new();
    for task in tasks {
        // A task whose parent is gone stands at the top.
        below.entry(task.parent_task_id.filter(|parent| known.contains(parent))).or_default().push(task);
    }
    let most = if all { usize::MAX } else { CHILDREN };
    // A stack, since a tree may be as deep as its users like; the last one is next.
    let mut next = children(below.remove(&None).unwrap_or_default(), None, most);
    let mut told = Vec::new();
    while let Some(one) = next.pop() {
        match one {
            Next::Rest(text) => told.push(Line::Rest(text)),
            Next::Task { branch, under, task } => {
                told.push(Line::Task { name: format!("{branch}{}", named(task)), task });
                next.extend(children(below.remove(&Some(task.id)).unwrap_or_default(), Some(&under), most));
            }
        }
    }
    told
}

/// The last one first. `under`: what stands before the branches of all of them; none at the top.
fn children<'a>(mut tasks: Vec<&'a Task>, under: Option<&str>, most: usize) -> Vec<Next<'a>> {
    tasks.sort_by_cached_key(|task| (task.created_at, place(task)));
    let rest = leave_out(&mut tasks, most);
    let count = tasks.len();
    let mut next = Vec::with_capacity(count + 1);
    for (at, task) in tasks.into_iter().enumerate() {
        let (branch, below) = match under {
            None => (String::new(), String::new()),
            Some(under) if at + 1 == count && rest.is_none() => (format!("{under}└─ "), format!("{under}   ")),
            Some(under) => (format!("{under}├─ "), format!("{under}│  ")),
        };
        next.push(Next::Task { branch, under: below, task });
    }
    next.extend(rest.map(|rest| Next::Rest(format!("{}└─ {rest}", under.unwrap_or_default()))));
    next.reverse();
    next
}

/// Leaves the most telling ones, and says what was left out.
fn leave_out(tasks: &mut Vec<&Task>, most: usize) -> Option<String> {
    if tasks.len() <= most {
        return None;
    }
    let (telling, plain): (Vec<&Task>, Vec<&Task>) = tasks.iter().partition(|task| task.state != TaskState::Completed);
    let shown: HashSet<Id> = telling.iter().chain(&plain).take(most).map(|task| task.id).collect();
    let mut left_out = BTreeMap::<&str, u64>::new();
    for task in tasks.iter().filter(|task| !shown.contains(&task.id)) {
        *left_out.entry(task.state.as_str()).or_default() += 1;
    }
    tasks.retain(|task| shown.contains(&task.id));
    let counts: Vec<String> = left_out.iter().map(|(state, count)| format!("{} {state}", number(*count))).collect();
    Some(format!("… and {} (--all shows them)", counts.join(", ")))
}

/// Where an operation stands among those that were issued at the same moment: by its name and number.
fn place(task: &Task) -> (String, u64) {
    let key = task.step_key.as_deref().unwrap_or(&task.step_name);
    match key.rsplit_once('#') {
        Some((name, count)) => (name.to_owned(), count.parse().unwrap_or(0)),
        None => (key.to_owned(), 0),
    }
}

/// Its function, and its key where that says more.
fn named(task: &Task) -> String {
    let name = visible(&task.step_name);
    match task.step_key.as_deref() {
        Some(key) if key == format!("{}#1", task.step_name) => name,
        Some(key) => match key.strip_prefix(task.step_name.as_str()).filter(|rest| rest.starts_with('#')) {
            Some(rest) => format!("{name} {}", visible(rest)),
            None => format!("{name} ({})", visible(key)),
        },
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use stent::model::{TaskKind, Timestamp};

    use super::*;

    fn task(id: u128, parent: u128, key: &str, state: TaskState) -> Task {
        let name = key.split('#').next().unwrap();
        let at = Timestamp::from_micros(0);
        let mut task = Task::new(Id::from_u128(id), Id::from_u128(99), TaskKind::Activity, name, at);
        task.parent_task_id = (parent > 0).then(|| Id::from_u128(parent));
        task.step_key = (parent > 0).then(|| key.to_owned());
        task.state = state;
        task
    }

    fn told(tasks: &[Task], all: bool) -> Vec<String> {
        let text = |line| match line {
            Line::Task { name, .. } => name,
            Line::Rest(text) => text,
        };
        lines(tasks, all).into_iter().map(text).collect()
    }

    #[test]
    fn children_stand_below_their_parents_in_order() {
        let done = TaskState::Completed;
        let tasks = [
            task(5, 2, "deep#1", done),
            task(3, 1, "a#2", done),
            task(1, 0, "root", done),
            task(4, 1, "a#10", done),
            task(2, 1, "a#1", done),
            task(7, 6, "orphan#1", done),
        ];
        let expected = ["orphan", "root", "├─ a", "│  └─ deep", "├─ a #2", "└─ a #10"];
        assert_eq!(told(&tasks, false), expected);
    }

    #[test]
    fn of_many_children_the_telling_ones_are_shown() {
        let mut tasks = vec![task(1, 0, "root", TaskState::Waiting)];
        for n in 1..=1_000 {
            let state = if n == 700 { TaskState::Failed } else { TaskState::Completed };
            tasks.push(task(10 + n, 1, &format!("item#{n}"), state));
        }
        let lines = told(&tasks, false);
        assert_eq!(lines.len(), 1 + CHILDREN + 1);
        assert_eq!(lines[20..], ["├─ item #700", "└─ … and 980 completed (--all shows them)"]);
        assert_eq!(told(&tasks, true).len(), 1_001);
    }

    #[test]
    fn a_tree_may_be_deep() {
        let deep: Vec<Task> = (1..=20_000).map(|n| task(n, n - 1, "f#1", TaskState::Running)).collect();
        assert_eq!(told(&deep[..2_000], false).len(), 2_000);
    }
}
