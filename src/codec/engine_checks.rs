//! What a request of the engine's may say, whatever the store: names that are names, counts that make sense. Workers and
//! clients of the library say nothing else; these requests come from elsewhere.

use super::engine::EngineRequest;
use crate::backend::{Claim, Pausable, SpawnKind};
use crate::model::{CONCURRENCY_MAX, Error, FunctionOptions, Result, check_key, check_name, check_tags};

pub(super) fn check(request: &EngineRequest) -> Result<()> {
    use EngineRequest as E;
    match request {
        E::Dispatch { executions } => executions.iter().try_for_each(|new| {
            check_name("function", &new.function)?;
            new.options.idempotency_key.as_deref().map_or(Ok(()), |key| check_key("idempotency_key", key))?;
            new.options.unique_key.as_deref().map_or(Ok(()), |key| check_key("unique_key", key))?;
            new.registered.as_deref().map_or(Ok(()), FunctionOptions::check)?;
            new.options.check()
        }),
        E::RegisterWorker { worker } => {
            check_name("worker_id", &worker.worker_id)?;
            worker.queues.iter().try_for_each(|queue| check_name("queues", queue))?;
            check_tags(&worker.tags)?;
            worker.functions.iter().try_for_each(|function| {
                check_name("name", &function.name)?;
                function.options.check()
            })
        }
        E::Advance { transitions, claim } => {
            let spawns = transitions.iter().flat_map(|transition| &transition.commands.spawns);
            for spawn in spawns {
                check_name("name", &spawn.name)?;
                check_key("key", &spawn.key)?;
                if let SpawnKind::Activity { options, registered, .. } = &spawn.what {
                    registered.as_deref().map_or(Ok(()), FunctionOptions::check)?;
                    options.task.check()?;
                }
            }
            claim.as_ref().map_or(Ok(()), check_claim)
        }
        E::Cached { keys } => keys.iter().try_for_each(|key| check_key("keys", key)),
        E::Renew { renew } => check_key("worker_id", &renew.worker_id),
        E::RemoveWorker { worker_id } | E::Sweep { worker_id } => check_key("worker_id", worker_id),
        E::Signal { signal } => {
            check_name("name", &signal.name)?;
            signal.id.as_deref().map_or(Ok(()), |id| check_key("id", id))
        }
        E::List { filter } => filter.check(),
        E::DeadLetters { filter } => filter.check(),
        E::Pause { queue, function, .. } | E::Unpause { queue, function } => {
            Pausable::new(queue.clone(), function.clone()).map(drop)
        }
        // Schedules are checked as they are read.
        E::PutSchedules { only_of, .. } => only_of.as_deref().map_or(Ok(()), |owner| check_name("only_of", owner)),
        E::Schedules { filter } => filter.check(),
        E::ChangeSchedule { name, .. } => check_key("name", name),
        E::Journals { .. }
        | E::Cancel { .. }
        | E::EndedAmong { .. }
        | E::CancelledAmong { .. }
        | E::Snapshot { .. }
        | E::ReplayDeadLetter { .. }
        | E::Resume { .. }
        | E::Stats {}
        | E::Pauses {}
        | E::SlotWaits { .. }
        | E::WaitForWork { .. } => Ok(()),
    }
}

fn check_claim(claim: &Claim) -> Result<()> {
    check_key("worker_id", &claim.worker_id)?;
    for (key, count) in [("count", claim.count), ("limited", claim.limited), ("begin", claim.begin)] {
        if count > CONCURRENCY_MAX {
            let told = format!("claim.{key} is {count}; it must be from 0 to {CONCURRENCY_MAX}");
            return Err(Error::invalid(told).with("key", key));
        }
    }
    Ok(())
}
