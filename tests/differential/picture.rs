//! All that can be read from a store, part by part, without the values of times.

use std::collections::BTreeMap;

use stent::backend::{DeadLetterFilter, JournalRequest, Request, Response, SharedBackend};
use stent::model::{Execution, Id, Task};

use crate::operation::text;

/// More than any run makes.
const ALL: u32 = 100_000;

#[derive(Default)]
pub struct Picture {
    /// By a name for people.
    pub parts: BTreeMap<String, String>,
    /// The records themselves, for the next operations.
    pub tasks: Vec<Task>,
    pub executions: Vec<Execution>,
    /// Tasks that have a dead letter.
    pub letters: Vec<Id>,
}

impl Picture {
    /// `near`: executions that are looked at in every way; the others by their records and tasks only.
    pub async fn of(store: &SharedBackend, near: &[Id]) -> Self {
        let mut picture = Self::default();
        picture.add_tasks(store).await;
        picture.add_executions(store).await;
        picture.add_journals(store).await;
        for id in near {
            let snapshot = store.snapshot(*id).await.unwrap();
            picture.parts.insert(format!("snapshot of {id}"), text(&snapshot));
            let request = Request::ListTasksForExecution { execution_id: *id };
            let tasks = store.call(request).await.unwrap();
            picture.parts.insert(format!("tasks of {id}"), text(&tasks));
        }
        let letters = store.dead_letters(DeadLetterFilter { limit: ALL, ..DeadLetterFilter::default() }).await.unwrap();
        picture.letters = letters.iter().map(|letter| letter.task.id).collect();
        picture.parts.insert("dead letters".to_owned(), text(&letters));
        picture.add_stats(store).await;
        picture
    }

    async fn add_tasks(&mut self, store: &SharedBackend) {
        let request = Request::ListTasks { limit: ALL, offset: 0, state: None };
        let Ok(Response::Tasks(tasks)) = store.call(request).await else { panic!("tasks are not listed") };
        let order: Vec<Id> = tasks.iter().map(|task| task.id).collect();
        self.parts.insert("order of tasks".to_owned(), text(&order));
        for task in &tasks {
            self.parts.insert(format!("task {}", task.id), text(task));
        }
        self.tasks = tasks;
    }

    async fn add_executions(&mut self, store: &SharedBackend) {
        let request = Request::ListExecutions { limit: ALL, offset: 0, state: None };
        let Ok(Response::Executions(executions)) = store.call(request).await else {
            panic!("executions are not listed")
        };
        let order: Vec<Id> = executions.iter().map(|execution| execution.id).collect();
        self.parts.insert("order of executions".to_owned(), text(&order));
        for execution in &executions {
            self.parts.insert(format!("execution {}", execution.id), text(execution));
        }
        self.executions = executions;
    }

    async fn add_journals(&mut self, store: &SharedBackend) {
        let parents = self.tasks.iter().filter(|task| task.kind.is_run());
        let requests: Vec<JournalRequest> = parents.map(|task| JournalRequest { task: task.id, after: 0 }).collect();
        let journals = store.journals(requests.clone()).await.unwrap();
        for (request, journal) in requests.iter().zip(journals) {
            if !journal.is_empty() {
                self.parts.insert(format!("journal of {}", request.task), text(&journal));
            }
        }
    }

    async fn add_stats(&mut self, store: &SharedBackend) {
        let stats = store.stats().await.unwrap();
        let mut ready: Vec<_> = stats.ready.iter().map(|d| (d.queue.clone(), d.function.clone(), d.count)).collect();
        ready.sort_unstable();
        let counts =
            (&stats.executions, &stats.tasks, stats.scheduled, stats.dead_letters, stats.parked, stats.workers);
        self.parts.insert("stats".to_owned(), format!("{counts:?} {ready:?}"));
    }
}

/// The first parts that differ, each with what differs in it.
pub fn difference(one: (&str, &BTreeMap<String, String>), other: (&str, &BTreeMap<String, String>)) -> Option<String> {
    const PARTS_MAX: usize = 6;
    let names = one.1.keys().chain(other.1.keys());
    let mut found: Vec<String> = names.filter(|name| one.1.get(*name) != other.1.get(*name)).cloned().collect();
    found.sort_unstable();
    found.dedup();
    if found.is_empty() {
        return None;
    }
    let tell = |name: &String| {
        let parts = (one.1.get(name).map_or("", String::as_str), other.1.get(name).map_or("", String::as_str));
        format!("{name}:\n{}", lines((one.0, parts.0), (other.0, parts.1)))
    };
    Some(found.iter().take(PARTS_MAX).map(tell).collect::<Vec<_>>().join("\n"))
}

/// Two texts, field by field; what is equal before and after is left out.
pub fn lines(one: (&str, &str), other: (&str, &str)) -> String {
    const NEAR: usize = 4;
    let fields = [one.1, other.1].map(|text| text.split(", ").collect::<Vec<_>>());
    let both = || fields[0].iter().zip(&fields[1]);
    let before = both().take_while(|(a, b)| a == b).count().saturating_sub(NEAR);
    let shorter = fields[0].len().min(fields[1].len());
    let after = fields[0].iter().rev().zip(fields[1].iter().rev()).take_while(|(a, b)| a == b).count();
    let after = after.saturating_sub(NEAR).min(shorter - before);
    let part = |fields: &[&str]| fields[before..fields.len() - after].join(", ");
    format!("  {:18} … {}\n  {:18} … {}", one.0, part(&fields[0]), other.0, part(&fields[1]))
}
