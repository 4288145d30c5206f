//! A page of executions. Whatever is filtered, only a bounded part of the store is read for it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde::Serialize;
use stent::backend::{ExecutionFilter, Request, Response, TaskFilter};
use stent::codec;
use stent::model::{Execution, Id, Timestamp};

use crate::ui::app::App;
use crate::ui::page::{Cursor, Wanted};
use crate::ui::refusal::Answer;
use crate::words;

/// What a filter hardly lets through is looked for in spans of time, each so much longer than the one before, until there
/// are enough, or it took too long.
const SPAN: Duration = Duration::from_secs(600);
const LONGER: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(1);

/// A span from here on has no beginning.
const AGES: Duration = Duration::from_secs(20 * 365 * 86_400);

/// Of an id, the first digits are a time, which its tasks' ids have too.
const DIGITS_OF_TIME: usize = 12;
const DIGITS: usize = 32;

/// Tasks that are looked through for an id.
const TASKS: u32 = 500;
const LOOKS: usize = 10;

#[derive(Serialize)]
pub struct ExecutionsView {
    pub executions: Vec<Execution>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// The search ended here, since it took long; `next` goes on with it.
    pub searched_to: Option<Timestamp>,
    #[serde(skip)]
    pub wanted: Wanted,
}

pub async fn read(app: &App, wanted: &Wanted) -> Answer<ExecutionsView> {
    let view = |executions, next: Option<Cursor>, searched_to| ExecutionsView {
        executions,
        next: next.map(|next| next.to_string()),
        searched_to,
        wanted: wanted.clone(),
    };
    if let Some(prefix) = &wanted.id {
        return Ok(view(by_id(app, wanted, prefix).await?, None, None));
    }
    let limit = wanted.limit as usize;
    let (mut found, reached) = search(app, wanted, wanted.limit.saturating_add(1)).await?;
    if found.len() > limit {
        found.truncate(limit);
        let next = after(&found, wanted.after);
        return Ok(view(found, next, None));
    }
    let next = reached.map(|at| Cursor { at, passed: 0 });
    Ok(view(found, next, reached))
}

/// Where the page after this one begins.
fn after(page: &[Execution], before: Option<Cursor>) -> Option<Cursor> {
    let at = page.last()?.created_at;
    let here = page.iter().filter(|execution| execution.created_at == at).count();
    let passed = before.filter(|before| before.at == at).map_or(0, |before| before.passed);
    Some(Cursor { at, passed: passed.saturating_add(u32::try_from(here).unwrap_or(u32::MAX)) })
}

/// And how far it came, if not to the end.
async fn search(app: &App, wanted: &Wanted, limit: u32) -> Answer<(Vec<Execution>, Option<Timestamp>)> {
    let (since, until) = wanted.bounds()?;
    let filter = ExecutionFilter {
        state: wanted.state,
        function: wanted.function.clone(),
        queue: wanted.queue.clone(),
        tag: wanted.tag.clone(),
        created_after: since,
        // Both bounds are exclusive: those of the cursor's own moment are passed over by their number.
        created_before: wanted.after.map_or(until, |after| Some(past(after.at))),
        limit,
        offset: wanted.after.map_or(0, |after| after.passed),
    };
    let is_plain = filter.state.is_none() && [&filter.function, &filter.queue, &filter.tag].iter().all(|w| w.is_none());
    if is_plain {
        return Ok((app.backend.list(filter).await?, None));
    }
    let begun = Instant::now();
    let (mut span, mut filter, mut found) = (SPAN, filter, Vec::new());
    let mut top = filter.created_before.unwrap_or_else(words::now);
    loop {
        let bottom = (span < AGES).then(|| top.before(span)).filter(|bottom| since.is_none_or(|since| *bottom > since));
        filter.created_after = bottom.or(since);
        filter.limit = limit - found.len() as u32;
        found.extend(app.backend.list(filter.clone()).await?);
        let Some(bottom) = bottom else { return Ok((found, None)) };
        if found.len() >= limit as usize {
            return Ok((found, None));
        }
        if begun.elapsed() > PATIENCE {
            return Ok((found, Some(bottom)));
        }
        (top, span) = (bottom, span * LONGER);
        (filter.created_before, filter.offset) = (Some(past(bottom)), 0);
    }
}

fn past(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.micros().saturating_add(1))
}

/// Those whose id begins so. Tasks are found by their ids, and the ids of all tasks of an execution begin as its own.
async fn by_id(app: &App, wanted: &Wanted, prefix: &str) -> Answer<Vec<Execution>> {
    let digits: String = prefix.chars().filter(char::is_ascii_hexdigit).collect();
    let mut found = Vec::new();
    for id in ids_like(app, &digits, wanted.limit as usize).await? {
        let Response::Execution(Some(execution)) = app.backend.call(Request::GetExecution { execution_id: id }).await?
        else {
            continue;
        };
        found.push(Execution { progress: Vec::new(), ..*execution });
    }
    let (since, until) = wanted.bounds()?;
    let is = |has: Option<&String>, wanted: &Option<String>| wanted.is_none() || has == wanted.as_ref();
    found.retain(|one| {
        wanted.state.is_none_or(|state| one.state == state)
            && is(Some(&one.root_function), &wanted.function)
            && is(one.queue.as_ref(), &wanted.queue)
            && wanted.tag.as_ref().is_none_or(|tag| one.tags.contains(tag))
            && since.is_none_or(|since| one.created_at > since)
            && until.is_none_or(|until| one.created_at < until)
    });
    found.sort_by_key(|one| std::cmp::Reverse((one.created_at, one.id)));
    Ok(found)
}

async fn ids_like(app: &App, digits: &str, limit: usize) -> Answer<BTreeSet<Id>> {
    let mut ids = BTreeSet::new();
    if digits.len() == DIGITS {
        // A whole one may be a task's.
        let id = codec::id_from_text("id", digits)?;
        ids.insert(id);
        if let Response::Task(Some(task)) = app.backend.call(Request::GetTask { task_id: id }).await? {
            ids.insert(task.execution_id);
        }
        return Ok(ids);
    }
    let time = &digits[..digits.len().min(DIGITS_OF_TIME)];
    let (first, last) = (padded(time, '0')?, padded(time, 'f')?);
    let mut after = last.as_u128().checked_add(1).map(Id::from_u128);
    for _ in 0..LOOKS {
        let page = app.backend.tasks(TaskFilter { after, limit: TASKS, ..TaskFilter::default() }).await?;
        let is_last = page.len() < TASKS as usize || page.last().is_some_and(|task| task.id < first);
        after = page.last().map(|task| task.id);
        let of = page.iter().filter(|task| task.id >= first).map(|task| task.execution_id);
        ids.extend(of.filter(|id| id.simple().to_string().starts_with(digits)));
        if is_last || ids.len() >= limit {
            break;
        }
    }
    Ok(ids.into_iter().rev().take(limit).collect())
}

fn padded(digits: &str, with: char) -> Answer<Id> {
    let rest = std::iter::repeat_n(with, DIGITS - digits.len());
    Ok(codec::id_from_text("id", &digits.chars().chain(rest).collect::<String>())?)
}
