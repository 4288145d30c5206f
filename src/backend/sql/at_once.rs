//! A dispatch as one statement, which is its own transaction: one journey to the server instead of four. It is for what
//! needs nothing to be looked up first: no idempotency or unique key, no time to come, known routes. All else, and whatever is
//! refused, is written by [`super::dispatch`].

use std::time::Duration;

use super::call::Call;
use super::catalog::{Catalog, stored};
use super::database::Database;
use super::fairness;
use super::patience::is_cut;
use super::rows::{args_column, kwargs_column};
use super::statements::EXECUTIONS_DISPATCH;
use crate::backend::decide::{self, Asked, root_task_id};
use crate::backend::{NewExecution, Notice};
use crate::codec;
use crate::model::{Id, KeyReuse, Timestamp};

pub(super) enum AtOnce {
    Done(Vec<Id>),
    /// Nothing is written.
    Nothing,
    /// The connection was cut: they may be recorded or not.
    InDoubt,
}

pub(super) async fn dispatch<D: Database>(database: &D, executions: &[NewExecution]) -> AtOnce {
    if !D::HAS_JOURNEYS {
        return AtOnce::Nothing;
    }
    let catalog = database.catalog().newest();
    let Some(call) = statement(&catalog, executions) else { return AtOnce::Nothing };
    let rated = |new: &NewExecution| {
        new.options.task.concurrency_key.is_some()
            && catalog.function(&new.function).is_some_and(|options| options.rate_per_key.is_some())
    };
    let all = executions.len() as i64;
    match database.at_once(&call).await {
        Ok(Some(rows)) if rows.first().is_some_and(|row| row.int("count").is_ok_and(|count| count == all)) => {
            let mut notices = vec![Notice::Work { served: None }];
            if executions.iter().any(rated) {
                // The tables know when they may start.
                notices.push(Notice::Due(Duration::ZERO));
            }
            database.tell(notices);
            AtOnce::Done(executions.iter().map(|new| new.id).collect())
        }
        Err(why) if is_cut(&why) => AtOnce::InDoubt,
        Ok(_) | Err(_) => AtOnce::Nothing,
    }
}

/// `None`: it takes more than that.
fn statement<'a>(catalog: &Catalog, executions: &'a [NewExecution]) -> Option<Call<'a>> {
    if executions.is_empty() || catalog.version() == Catalog::OWN {
        return None;
    }
    let mut call = EXECUTIONS_DISPATCH.call();
    for new in executions {
        let options = &new.options;
        let waits = options.delay.is_some_and(|delay| !delay.is_zero());
        if waits || options.unique_key.is_some() || options.expiry_at(Timestamp::default()).is_some() {
            return None;
        }
        let asked = Asked {
            function: &new.function,
            options: &options.task,
            idempotency_key: options.idempotency_key.as_deref(),
            reuse: KeyReuse::default(),
            cache_key: None,
            args_hash: Some(&new.args_hash),
            registered: new.registered.as_deref(),
        };
        let (mut run, route) = decide::resolve(&asked, catalog.function(&new.function));
        let route = catalog.route(&route)?;
        if run.idempotency_key.is_some() || !fairness::is_settled(catalog, &mut run) {
            return None;
        }
        call.row()
            .id(new.id)
            .text(new.function.as_str())
            .id(root_task_id(new.id))
            .int(run.priority)
            .text(options.on_cancel.as_deref())
            .text(options.traceparent.as_deref())
            .made(run.queue)
            .made(codec::tags_to_column(&run.tags))
            .bytes(args_column(&new.args))
            .bytes(options.kwargs.as_ref().and_then(kwargs_column))
            .int(route)
            .int(stored(run.timeout))
            .made(run.cache_key)
            .int(stored(run.cache_ttl))
            .made(run.retry_policy.as_ref().map(codec::policy_to_column))
            .made(run.concurrency_key)
            .int(run.head_start)
            .made(run.fairness_key)
            .real(run.fairness_weight);
    }
    let known = executions.iter().filter(|new| new.options.id.is_some()).map(|new| new.id.to_string());
    call.int(catalog.version()).texts(known.collect());
    Some(call)
}
