//! Counters and state values of an execution.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::database::Database;
use super::super::snapshot;
use super::super::statement::Statement;
use super::super::statements::{COUNTER_ENSURE, COUNTER_GET, COUNTER_SET, STATE_VALUE_ENSURE, STATE_VALUE_SET};
use super::super::store::Sql;
use super::super::tx::Tx;
use super::executions;
use crate::backend::{Response, decide};
use crate::model::{Id, Number, Payload, Result, check_name};

pub(super) async fn ensure<D: Database>(
    store: &Sql<D>,
    execution: Id,
    counters: BTreeMap<String, Number>,
) -> Result<Response> {
    counters.iter().try_for_each(|(name, value)| decide::check_counter(name, *value))?;
    store.write_exactly((execution, counters), |tx, request| Box::pin(ensure_all(tx, request))).await?;
    Ok(Response::Nothing)
}

async fn ensure_all(tx: &mut Tx<'_>, request: Arc<(Id, BTreeMap<String, Number>)>) -> Result<()> {
    let (execution, counters) = request.as_ref();
    executions::require(tx, *execution).await?;
    for (name, value) in counters {
        write(tx, &COUNTER_ENSURE, *execution, name, *value).await?;
    }
    Ok(())
}

pub(super) async fn increment<D: Database>(
    store: &Sql<D>,
    execution: Id,
    name: String,
    amount: Number,
) -> Result<Response> {
    decide::check_counter(&name, amount)?;
    let value = store.write_exactly((execution, name, amount), |tx, request| Box::pin(add(tx, request))).await?;
    Ok(Response::Number(value))
}

async fn add(tx: &mut Tx<'_>, request: Arc<(Id, String, Number)>) -> Result<Number> {
    let (execution, name, amount) = request.as_ref();
    executions::require(tx, *execution).await?;
    // The row exists then, and reading it locks it.
    write(tx, &COUNTER_ENSURE, *execution, name, Number::Integer(0)).await?;
    let row = tx.one(COUNTER_GET.call().id(*execution).text(name.as_str())).await?;
    let value = decide::sum(name, snapshot::number(&row)?, *amount)?;
    write(tx, &COUNTER_SET, *execution, name, value).await?;
    Ok(value)
}

async fn write(tx: &mut Tx<'_>, how: &'static Statement, execution: Id, name: &str, value: Number) -> Result<()> {
    let (whole, fraction) = snapshot::columns(value);
    tx.change(how.call().id(execution).text(name).int(whole).real(fraction)).await.map(drop)
}

pub(super) async fn get<D: Database>(store: &Sql<D>, execution: Id) -> Result<Response> {
    let counters = store.read(execution, |session, id| Box::pin(snapshot::counters(session, *id))).await?;
    Ok(Response::Counters(counters))
}

pub(super) async fn ensure_values<D: Database>(
    store: &Sql<D>,
    execution: Id,
    values: BTreeMap<String, Payload>,
) -> Result<Response> {
    write_values(store, &STATE_VALUE_ENSURE, execution, values).await
}

pub(super) async fn set_value<D: Database>(
    store: &Sql<D>,
    execution: Id,
    key: String,
    value: Payload,
) -> Result<Response> {
    write_values(store, &STATE_VALUE_SET, execution, BTreeMap::from([(key, value)])).await
}

async fn write_values<D: Database>(
    store: &Sql<D>,
    how: &'static Statement,
    execution: Id,
    values: BTreeMap<String, Payload>,
) -> Result<Response> {
    values.keys().try_for_each(|key| check_name("a state key", key))?;
    store.write_exactly((execution, values), move |tx, request| Box::pin(write_each(tx, how, request))).await?;
    Ok(Response::Nothing)
}

async fn write_each(
    tx: &mut Tx<'_>,
    how: &'static Statement,
    request: Arc<(Id, BTreeMap<String, Payload>)>,
) -> Result<()> {
    let (execution, values) = request.as_ref();
    executions::require(tx, *execution).await?;
    for (key, value) in values {
        tx.change(how.call().id(*execution).text(key.as_str()).payload(value)).await?;
    }
    Ok(())
}

pub(super) async fn get_values<D: Database>(store: &Sql<D>, execution: Id) -> Result<Response> {
    let values = store.read(execution, |session, id| Box::pin(snapshot::values(session, *id))).await?;
    Ok(Response::Values(values))
}
