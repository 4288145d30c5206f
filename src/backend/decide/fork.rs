//! What of a dead letter's execution its replay keeps.

use std::collections::{HashMap, HashSet};

use crate::model::{Id, Op, TaskState, child_id};

/// The root task of an execution.
pub(in crate::backend) fn root_task_id(execution: Id) -> Id {
    child_id(execution, 0, "root")
}

/// A child of a task.
pub(in crate::backend) struct Node {
    pub id: Id,
    /// None: a tool created it, and no journal knows it.
    pub op: Option<Op>,
    pub key: String,
    pub state: TaskState,
    pub arrival: Option<u64>,
}

/// A task of the new execution, made of an old one.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::backend) struct Copy {
    pub id: Id,
    pub new_id: Id,
    pub new_parent: Option<Id>,
    /// It runs again; else it is recorded as it is.
    pub again: bool,
    /// The operation of its journal that runs again.
    pub opened: Option<Op>,
}

/// From a letter's task up to its root, given the task and those above it, each with its parent. None: they form a
/// circle.
pub(in crate::backend) fn path(letter: Id, above: &[(Id, Option<Id>)]) -> Option<Vec<Id>> {
    let parents: HashMap<Id, Option<Id>> = above.iter().copied().collect();
    let mut path = Vec::with_capacity(parents.len());
    let mut at = Some(letter);
    while let Some(id) = at
        && let Some(parent) = parents.get(&id)
    {
        if path.len() == parents.len() {
            return None;
        }
        path.push(id);
        at = *parent;
    }
    Some(path)
}

/// The journal up to the failure, without the failed path. `path`: from the letter up to the root, which is not
/// missing; `journals`: of each task on it, in the same order.
pub(in crate::backend) fn copies(execution: Id, path: &[Id], journals: &[Vec<Node>]) -> Vec<Copy> {
    let on_path: HashSet<Id> = path.iter().copied().collect();
    let root = path.last().copied().unwrap_or_default();
    let new_root = root_task_id(execution);
    let mut new_ids = HashMap::from([(root, new_root)]);
    let mut copies = vec![Copy { id: root, new_id: new_root, new_parent: None, again: true, opened: None }];
    // From the root down to the letter: a parent's new id comes before its children's.
    for (parent, journal) in path.iter().zip(journals).rev() {
        let Some(new_parent) = new_ids.get(parent).copied() else { continue };
        let failed = journal.iter().find(|child| on_path.contains(&child.id));
        let failed_at = failed.and_then(|child| child.arrival);
        if let Some(copy) = copies.iter_mut().find(|copy| copy.id == *parent) {
            copy.opened = failed.and_then(|child| child.op);
        }
        for child in journal {
            let again = on_path.contains(&child.id);
            if again || is_kept(child, failed_at) {
                let new_id = child_id(new_parent, 0, &child.key);
                new_ids.insert(child.id, new_id);
                copies.push(Copy { id: child.id, new_id, new_parent: Some(new_parent), again, opened: None });
            }
        }
    }
    copies
}

/// Completed work is never done twice. Other ends are part of the journal only if the handler saw them before the
/// failure; under the letter itself all of them were there.
fn is_kept(child: &Node, failed_at: Option<u64>) -> bool {
    let Some(arrival) = child.arrival.filter(|arrival| *arrival > 0 && child.op.is_some()) else { return false };
    match child.state {
        TaskState::Completed => true,
        TaskState::Failed | TaskState::Cancelled => failed_at.is_none_or(|failed_at| arrival < failed_at),
        TaskState::Pending | TaskState::Running | TaskState::Waiting => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u128, state: TaskState, arrival: u64) -> Node {
        let arrival = Some(arrival).filter(|n| *n < 100);
        Node { id: Id::from_u128(id), op: Some(id as Op), key: format!("f#{id}"), state, arrival }
    }

    #[test]
    fn a_path_ends_at_a_root_or_is_none() {
        let id = Id::from_u128;
        let above = [(id(1), None), (id(3), Some(id(2))), (id(2), Some(id(1)))];
        assert_eq!(path(id(3), &above), Some(vec![id(3), id(2), id(1)]));
        assert_eq!(path(id(3), &above[1..]), Some(vec![id(3), id(2)]), "the root is missing");
        assert_eq!(path(id(3), &[]), Some(vec![]));
        assert_eq!(path(id(1), &[(id(1), Some(id(1)))]), None);
        assert_eq!(path(id(4), &[(id(4), Some(id(2))), (id(2), Some(id(3))), (id(3), Some(id(2)))]), None);
    }

    #[test]
    fn what_completed_stays_and_the_failed_path_runs_again() {
        let (root, letter, execution) = (Id::from_u128(1), Id::from_u128(4), Id::from_u128(50));
        let below_root = vec![
            node(2, TaskState::Completed, 1),
            node(3, TaskState::Failed, 2),
            node(4, TaskState::Failed, 3),
            node(5, TaskState::Completed, 4),
            node(6, TaskState::Failed, 5),
            node(7, TaskState::Cancelled, 0),
            node(8, TaskState::Waiting, 100),
            Node { op: None, ..node(10, TaskState::Completed, 6) },
        ];
        let below_letter = vec![node(9, TaskState::Failed, 1)];
        let copies = copies(execution, &[letter, root], &[below_letter, below_root]);
        let told: Vec<(u128, bool)> = copies.iter().map(|copy| (copy.id.as_u128(), copy.again)).collect();
        // 3 failed before the letter, 6 after it; 7 was cancelled from above, 8 is not over, and 10 is a tool's.
        assert_eq!(told, [(1, true), (2, false), (3, false), (4, true), (5, false), (9, false)]);
        assert_eq!((copies[0].opened, copies[3].opened), (Some(4), None));
        assert_eq!(copies[0].new_id, root_task_id(execution));
        let new_letter = child_id(copies[0].new_id, 0, "f#4");
        assert_eq!((copies[3].new_id, copies[5].new_parent), (new_letter, Some(new_letter)));
    }
}
