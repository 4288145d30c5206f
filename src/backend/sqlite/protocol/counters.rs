//! Counters and named values of an execution.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::tx::Tx;
use super::super::{Sqlite, error, snapshot};
use super::executions;
use crate::backend::{Response, decide};
use crate::model::{Id, Number, Payload, Result, check_name};

pub(super) async fn ensure(store: &Sqlite, execution: Id, counters: BTreeMap<String, Number>) -> Result<Response> {
    counters.iter().try_for_each(|(name, value)| decide::check_counter(name, *value))?;
    store
        .write((execution, counters), |tx, request| {
            Box::pin(async move {
                executions::require(tx, request.0).await?;
                for (name, value) in &request.1 {
                    write(tx, include_str!("../sql/counter_ensure.sql"), request.0, name, *value).await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(Response::Nothing)
}

pub(super) async fn increment(store: &Sqlite, execution: Id, name: String, amount: Number) -> Result<Response> {
    decide::check_counter(&name, amount)?;
    let value = store.write((execution, name, amount), |tx, request| Box::pin(add(tx, request))).await?;
    Ok(Response::Number(value))
}

async fn add(tx: &mut Tx, request: Arc<(Id, String, Number)>) -> Result<Number> {
    let (execution, name, amount) = &*request;
    executions::require(tx, *execution).await?;
    let row = sqlx::query(include_str!("../sql/counter_get.sql"))
        .bind(execution.as_bytes().as_slice())
        .bind(name)
        .fetch_optional(&mut tx.conn)
        .await
        .map_err(error::map("read a counter"))?;
    let value = match row {
        Some(row) => decide::sum(name, snapshot::number(&row)?, *amount)?,
        None => *amount,
    };
    write(tx, include_str!("../sql/counter_set.sql"), *execution, name, value).await?;
    Ok(value)
}

async fn write(tx: &mut Tx, sql: &'static str, execution: Id, name: &str, value: Number) -> Result<()> {
    let query = sqlx::query(sql).bind(execution.as_bytes().as_slice()).bind(name);
    let query = match value {
        Number::Integer(whole) => query.bind(whole),
        Number::Real(real) => query.bind(real),
    };
    query.execute(&mut tx.conn).await.map_err(error::map("write a counter"))?;
    Ok(())
}

pub(super) async fn get(store: &Sqlite, execution: Id) -> Result<Response> {
    let counters = store
        .read(execution, |conn, execution| Box::pin(async move { snapshot::counters(conn, *execution).await }))
        .await?;
    Ok(Response::Counters(counters))
}

pub(super) async fn ensure_values(
    store: &Sqlite,
    execution: Id,
    values: BTreeMap<String, Payload>,
) -> Result<Response> {
    write_values(store, execution, values, include_str!("../sql/state_value_ensure.sql")).await
}

pub(super) async fn set_value(store: &Sqlite, execution: Id, key: String, value: Payload) -> Result<Response> {
    write_values(store, execution, BTreeMap::from([(key, value)]), include_str!("../sql/state_value_set.sql")).await
}

async fn write_values(
    store: &Sqlite,
    execution: Id,
    values: BTreeMap<String, Payload>,
    sql: &'static str,
) -> Result<Response> {
    values.keys().try_for_each(|key| check_name("a state key", key))?;
    store
        .write((execution, values), move |tx, request| {
            Box::pin(async move {
                executions::require(tx, request.0).await?;
                for (key, value) in &request.1 {
                    sqlx::query(sql)
                        .bind(request.0.as_bytes().as_slice())
                        .bind(key)
                        .bind(value.as_bytes())
                        .execute(&mut tx.conn)
                        .await
                        .map_err(error::map("write a state value"))?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(Response::Nothing)
}

pub(super) async fn get_values(store: &Sqlite, execution: Id) -> Result<Response> {
    let values = store
        .read(execution, |conn, execution| Box::pin(async move { snapshot::values(conn, *execution).await }))
        .await?;
    Ok(Response::Values(values))
}
