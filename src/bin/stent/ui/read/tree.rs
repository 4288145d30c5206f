//! An execution's tasks as a tree, in the order in which they were called, page by page.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use stent::model::{Id, Task};

use super::timeline::{Row, tasks_of};
use crate::ui::app::App;
use crate::ui::refusal::{Answer, Refusal};

/// Rows on a page.
const PAGE: usize = 500;

#[derive(Serialize)]
pub struct TreeView {
    pub execution: Id,
    pub tasks: usize,
    pub from: usize,
    pub rows: Vec<Branch>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Branch {
    /// 1: a root.
    pub level: usize,
    #[serde(flatten)]
    pub row: Row,
}

impl TreeView {
    /// Where the next page begins, and the one before.
    pub fn next(&self) -> Option<usize> {
        let next = self.from + self.rows.len();
        (next < self.tasks).then_some(next)
    }

    pub fn before(&self) -> Option<usize> {
        (self.from > 0).then(|| self.from.saturating_sub(PAGE))
    }
}

pub async fn read(app: &App, execution: Id, from: usize) -> Answer<TreeView> {
    let tasks = tasks_of(app, execution).await?;
    if tasks.is_empty() {
        return Err(Refusal::missing(format!("There is no execution {execution}, or it has no tasks.")));
    }
    let order = in_order(&tasks);
    let shown = order.iter().skip(from).take(PAGE);
    let rows = shown.map(|(task, level)| Branch { level: *level, row: Row::new(task) }).collect();
    Ok(TreeView { execution, tasks: tasks.len(), from, rows })
}

/// Each before its children, with its level.
fn in_order(tasks: &[Task]) -> Vec<(&Task, usize)> {
    let known: HashSet<Id> = tasks.iter().map(|task| task.id).collect();
    let mut below: HashMap<Option<Id>, Vec<&Task>> = HashMap::new();
    for task in tasks {
        // A task whose parent is gone stands at the top.
        below.entry(task.parent_task_id.filter(|parent| known.contains(parent))).or_default().push(task);
    }
    for children in below.values_mut() {
        children.sort_by_cached_key(|task| std::cmp::Reverse((task.created_at, place(task))));
    }
    // A stack, since a tree may be as deep as its users like; the last one is next.
    let tops = below.remove(&None).unwrap_or_default();
    let mut open: Vec<(&Task, usize)> = tops.into_iter().map(|task| (task, 1)).collect();
    let mut order = Vec::with_capacity(tasks.len());
    while let Some((task, level)) = open.pop() {
        order.push((task, level));
        let children = below.remove(&Some(task.id)).unwrap_or_default();
        open.extend(children.into_iter().map(|child| (child, level + 1)));
    }
    order
}

/// Where an operation stands among those that were issued at the same moment: by its name and number.
fn place(task: &Task) -> (String, u64) {
    let key = task.step_key.as_deref().unwrap_or(&task.step_name);
    match key.rsplit_once('#') {
        Some((name, count)) => (name.to_owned(), count.parse().unwrap_or(0)),
        None => (key.to_owned(), 0),
    }
}

#[cfg(test)]
mod tests {
    use stent::model::{TaskKind, Timestamp};

    use super::*;

    #[test]
    fn children_follow_their_parents_in_the_order_of_calls() {
        let task = |id: u128, parent: u128, key: &str| {
            let name = key.split('#').next().unwrap_or_default();
            let at = Timestamp::from_micros(0);
            let mut task = Task::new(Id::from_u128(id), Id::from_u128(99), TaskKind::Activity, name, at);
            task.parent_task_id = (parent > 0).then(|| Id::from_u128(parent));
            task.step_key = Some(key.to_owned());
            task
        };
        let tasks = [
            task(5, 2, "deep#1"),
            task(3, 1, "a#2"),
            task(1, 0, "root"),
            task(4, 1, "a#10"),
            task(2, 1, "a#1"),
            task(7, 6, "orphan#1"),
        ];
        let told: Vec<_> =
            in_order(&tasks).iter().map(|(task, level)| (task.step_key.clone().unwrap(), *level)).collect();
        let told: Vec<_> = told.iter().map(|(key, level)| (key.as_str(), *level)).collect();
        assert_eq!(told, [("orphan#1", 1), ("root", 1), ("a#1", 2), ("deep#1", 3), ("a#2", 2), ("a#10", 2)]);
    }
}
