//! The engine's operations for a store that answers them itself: each is one question.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::contract;
use super::door::Door;
use crate::backend::*;
use crate::codec::engine::{self, Advanced, EngineRequest};
use crate::codec::{from_json, operations};
use crate::model::{Error, Result};

/// How long the store may wait before it answers a question for hints.
const HINTS_WAIT: Duration = Duration::from_secs(5);

async fn ask(door: &Door, request: &EngineRequest, extra: Duration) -> Result<(String, String)> {
    let (operation, body) = operations::asked_by_engine(request);
    let answer = door.ask(&operation, body, extra).await?;
    Ok((operation, answer))
}

/// Asks, and reads the answer.
pub(super) async fn get<T>(door: &Door, request: EngineRequest, read: fn(&str) -> Result<T>) -> Result<T> {
    let (operation, answer) = ask(door, &request, Duration::ZERO).await?;
    read(&answer).map_err(|why| door.broken(&operation, &answer, why.message()))
}

/// As [`get`], for answers that are read as they stand.
pub(super) async fn plain<T: DeserializeOwned>(door: &Door, request: EngineRequest) -> Result<T> {
    get(door, request, |answer| from_json("the answer", answer)).await
}

/// As [`plain`], for a list of as many elements as were asked for.
pub(super) async fn listed<T>(
    door: &Door,
    count: usize,
    request: EngineRequest,
    read: fn(&str) -> Result<Vec<T>>,
) -> Result<Vec<T>> {
    let (operation, answer) = ask(door, &request, Duration::ZERO).await?;
    let found = read(&answer).map_err(|why| door.broken(&operation, &answer, why.message()))?;
    contract::counted("elements", count, found.len()).map_err(|why| door.broken(&operation, &answer, &why))?;
    Ok(found)
}

pub(super) async fn advance(
    door: &Door,
    transitions: Vec<Transition>,
    claim: Option<Claim>,
) -> Result<(Vec<Verdict>, Vec<Claimed>)> {
    let (count, asked) = (transitions.len(), claim.clone());
    let (operation, answer) = ask(door, &EngineRequest::Advance { transitions, claim }, Duration::ZERO).await?;
    let broken = |why: &str| door.broken(&operation, &answer, why);
    let advanced: Advanced = from_json("the answer", &answer).map_err(|why: Error| broken(why.message()))?;
    contract::counted("verdicts", count, advanced.verdicts.len())
        .and_then(|()| contract::is_claim(asked.as_ref(), &advanced.claimed))
        .map_err(|why| broken(&why))?;
    Ok((advanced.verdicts, advanced.claimed))
}

pub(super) async fn snapshot(door: &Door, execution_id: crate::model::Id) -> Result<Option<Snapshot>> {
    get(door, EngineRequest::Snapshot { execution_id }, engine::snapshot).await
}

/// Waits for hints of the store.
pub(super) async fn wait_for_work(door: &Door) -> Result<Vec<Notice>> {
    let (operation, answer) = ask(door, &EngineRequest::WaitForWork { timeout: HINTS_WAIT }, HINTS_WAIT).await?;
    from_json("the answer", &answer).map_err(|why: Error| door.broken(&operation, &answer, why.message()))
}
