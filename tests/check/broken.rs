//! Stores that are broken on purpose: SQLite behind a custom backend that changes what is asked or answered.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use stent::backend::SharedBackend;
use stent::backend::custom::{Answerer, Custom, Reply};
use stent::check::{Outcome, check};
use stent::codec::operations;
use stent::model::{CheckOptions, CustomOptions, Error, Feature, Result, Status};

/// What is wrong with the store, and where that must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// A task that was claimed is given to the next claimer too.
    DoubleClaim,
    DoubleClaimOfTheEngine,
    /// Whoever speaks is taken for the newest holder.
    FenceIgnored,
    /// Every other value that is set is not.
    LostUpdate,
    /// The last of the batch first.
    WrongOrder,
    ListsInAnyOrder,
    ExpiredLeaseKept,
    ExpiredLeaseKeptByTheEngine,
    NonAtomicBatch,
    /// Results in a transaction of their own, before the claim.
    NonAtomicAdvance,
    SignalsOutOfOrder,
    SignalsOfTheEngineOutOfOrder,
    GreedyCleanup,
    ConflictNotReported,
    CounterLosesPrecision,
    AnybodyRenews,
    /// What came before a suspension does not wake.
    LostWakeUp,
    CancelIsForgotten,
    PayloadsWrittenAnew,
    LimitsIgnored,
    /// It is recorded nowhere.
    PausesIgnored,
    SchedulesIgnored,
    /// A tick is started again by whoever asks for it again.
    TicksForgotten,
    /// Whoever they are of.
    OthersSchedulesRemoved,
}

use Way::*;

const WAYS: [(Way, &[&str]); 24] = [
    (DoubleClaim, &["claiming/"]),
    (DoubleClaimOfTheEngine, &["routes/"]),
    (FenceIgnored, &["fences/"]),
    (LostUpdate, &["keeping/"]),
    (WrongOrder, &["routes/"]),
    (ListsInAnyOrder, &["records/"]),
    (ExpiredLeaseKept, &["claiming/"]),
    (ExpiredLeaseKeptByTheEngine, &["crashes/a_task_comes_back"]),
    (NonAtomicBatch, &["records/"]),
    (NonAtomicAdvance, &["atomic/"]),
    (SignalsOutOfOrder, &["keeping/"]),
    (SignalsOfTheEngineOutOfOrder, &["signals/they_are_taken", "signals/waits_are"]),
    (GreedyCleanup, &["keeping/"]),
    (ConflictNotReported, &["records/"]),
    (CounterLosesPrecision, &["keeping/"]),
    (AnybodyRenews, &["claiming/"]),
    (LostWakeUp, &["waits/what_came_before"]),
    (CancelIsForgotten, &["cancels/what_waits"]),
    (PayloadsWrittenAnew, &["keeping/"]),
    (LimitsIgnored, &["claiming/"]),
    (PausesIgnored, &["pauses/"]),
    (SchedulesIgnored, &["schedules/"]),
    (TicksForgotten, &["schedules/what_is_over"]),
    (OthersSchedulesRemoved, &["schedules/an_owner"]),
];

struct Broken {
    way: Way,
    inner: SharedBackend,
    runtime: tokio::runtime::Handle,
    /// What is kept from one call to the next.
    kept: Arc<Mutex<Option<Value>>>,
}

impl Answerer for Broken {
    fn ask(&self, operation: &str, request: &str, reply: Reply) {
        let (way, inner, kept) = (self.way, Arc::clone(&self.inner), Arc::clone(&self.kept));
        let (operation, request) = (operation.to_owned(), request.to_owned());
        self.runtime.spawn(async move {
            reply.answer(answer(way, &inner, &kept, &operation, request).await);
        });
    }

    fn complain(&self, _message: &str) {}
}

async fn ask(inner: &SharedBackend, operation: &str, request: &str) -> Result<String> {
    operations::call(inner.as_ref(), operation, Some(request)).await
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

async fn answer(
    way: Way,
    inner: &SharedBackend,
    kept: &Mutex<Option<Value>>,
    operation: &str,
    text: String,
) -> Result<String> {
    let plain = || ask(inner, operation, &text);
    let mut request = parsed(&text);
    match (way, operation) {
        (DoubleClaim, "claim_next_task") => {
            let before = kept.lock().unwrap().take();
            if let Some(mut task) = before {
                task["worker_id"] = request["worker_id"].clone();
                return Ok(task.to_string());
            }
            let claimed = plain().await?;
            *kept.lock().unwrap() = Some(parsed(&claimed)).filter(|claimed| !claimed.is_null());
            Ok(claimed)
        }
        (DoubleClaimOfTheEngine, "advance") => {
            let mut answer = parsed(&plain().await?);
            let wants = request["claim"]["count"].as_u64() > Some(0);
            let nothing = answer["claimed"].as_array().is_none_or(Vec::is_empty);
            if wants && nothing {
                if let Some(mut again) = kept.lock().unwrap().take() {
                    again["task"]["worker_id"] = request["claim"]["worker_id"].clone();
                    answer["claimed"] = json!([again]);
                }
            } else if wants {
                *kept.lock().unwrap() = Some(answer["claimed"][0].clone());
            }
            Ok(answer.to_string())
        }
        (FenceIgnored, "advance") => {
            for transition in request["transitions"].as_array_mut().into_iter().flatten() {
                let task = json!({"task_id": transition["held"]["task_id"]}).to_string();
                let task = parsed(&ask(inner, "get_task", &task).await?);
                if !task.is_null() {
                    transition["held"]["fence"] = task["fence"].clone();
                }
            }
            ask(inner, operation, &request.to_string()).await
        }
        (LostUpdate, "set_execution_state_value" | "set_cached_result") => {
            let turn = kept.lock().unwrap().take();
            if turn.is_some() {
                return Ok("null".into());
            }
            *kept.lock().unwrap() = Some(json!(1));
            plain().await
        }
        (WrongOrder, "advance") => {
            let mut answer = parsed(&plain().await?);
            if let Some(claimed) = answer["claimed"].as_array_mut() {
                claimed.reverse();
            }
            Ok(answer.to_string())
        }
        (ListsInAnyOrder, "list_tasks" | "list_executions" | "list_tasks_for_execution") => {
            let mut answer = parsed(&plain().await?);
            answer.as_array_mut().into_iter().for_each(|list| list.reverse());
            Ok(answer.to_string())
        }
        (ExpiredLeaseKept, "claim_next_task") => {
            request["lease_duration"] = json!(3600.0);
            ask(inner, operation, &request.to_string()).await
        }
        (ExpiredLeaseKeptByTheEngine, "advance") => {
            if !request["claim"].is_null() {
                request["claim"]["lease"] = json!(3600.0);
            }
            ask(inner, operation, &request.to_string()).await
        }
        (NonAtomicBatch, "create_tasks") => {
            for task in request["tasks"].as_array().into_iter().flatten() {
                ask(inner, "create_task", &json!({"task": task}).to_string()).await?;
            }
            Ok("null".into())
        }
        (NonAtomicAdvance, "advance") => {
            let said = json!({"transitions": request["transitions"]}).to_string();
            let mut answer = parsed(&ask(inner, operation, &said).await?);
            let claim = json!({"transitions": [], "claim": request["claim"]}).to_string();
            answer["claimed"] = parsed(&ask(inner, operation, &claim).await?)["claimed"].clone();
            Ok(answer.to_string())
        }
        (SignalsOutOfOrder, "create_signal") | (SignalsOfTheEngineOutOfOrder, "signal") => {
            let before = kept.lock().unwrap().take();
            let Some(before) = before else {
                *kept.lock().unwrap() = Some(request);
                return Ok("null".into());
            };
            plain().await?;
            ask(inner, operation, &before.to_string()).await
        }
        (GreedyCleanup, "cleanup_executions") => {
            let time: stent::model::Timestamp = request["older_than"].as_str().unwrap().parse().unwrap();
            request["older_than"] = json!(time.after(Duration::from_secs(60)).to_string());
            ask(inner, operation, &request.to_string()).await
        }
        (ConflictNotReported, "create_task" | "create_execution") => match plain().await {
            Err(why) if why.status() == Status::Conflict => Ok("null".into()),
            other => other,
        },
        (CounterLosesPrecision, "increment_execution_counter" | "get_execution_counters") => {
            let rounded = |number: &Value| json!(number.as_f64().unwrap_or_default() as i64);
            let mut answer = parsed(&plain().await?);
            match answer.as_object_mut() {
                Some(counters) => counters.values_mut().for_each(|number| *number = rounded(number)),
                None => answer = rounded(&answer),
            }
            Ok(answer.to_string())
        }
        (AnybodyRenews, "renew_task_lease") => {
            let task = json!({"task_id": request["task_id"]}).to_string();
            let task = parsed(&ask(inner, "get_task", &task).await?);
            if task["worker_id"].is_string() {
                request["worker_id"] = task["worker_id"].clone();
            }
            ask(inner, operation, &request.to_string()).await
        }
        (LostWakeUp, "advance") => {
            for transition in request["transitions"].as_array_mut().into_iter().flatten() {
                if let Some(suspend) = transition["outcome"].get_mut("suspend") {
                    suspend["known"] = json!(1_000_000);
                }
            }
            ask(inner, operation, &request.to_string()).await
        }
        (CancelIsForgotten, "cancel") | (PausesIgnored, "pause") | (SchedulesIgnored, "put_schedules") => {
            Ok("null".into())
        }
        (TicksForgotten, "change_schedule") if request["change"]["backfill"].is_object() => {
            let name = json!({"name": request["name"], "last": 0});
            let kept = parsed(&ask(inner, "schedules", &json!({"filter": name}).to_string()).await?)[0].clone();
            let mut again = request.clone();
            again["name"] = json!(format!("{}-{}", kept["name"].as_str().unwrap(), stent::model::Id::now_v7()));
            let known = ["name", "function", "every", "overlap"];
            let mut plain: serde_json::Map<_, _> =
                known.iter().map(|key| ((*key).to_owned(), kept[*key].clone())).collect();
            plain.insert("name".to_owned(), again["name"].clone());
            ask(inner, "put_schedules", &json!({"schedules": [plain]}).to_string()).await?;
            ask(inner, operation, &again.to_string()).await
        }
        (OthersSchedulesRemoved, "put_schedules") if request["only_of"].is_string() => {
            let all = parsed(&ask(inner, "schedules", r#"{"filter": {"limit": 1000}}"#).await?);
            for kept in all.as_array().unwrap() {
                let delete = json!({"name": kept["name"], "change": "delete"}).to_string();
                ask(inner, "change_schedule", &delete).await?;
            }
            plain().await
        }
        (PayloadsWrittenAnew, "set_execution_state_value") => ask(inner, operation, &request.to_string()).await,
        (LimitsIgnored, "claim_next_task") => {
            request["concurrency_limits"] = json!({});
            ask(inner, operation, &request.to_string()).await
        }
        _ => plain().await,
    }
}

fn names() -> Vec<String> {
    operations::PROTOCOL.iter().chain(operations::ENGINE).map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_store_that_is_broken_on_purpose_is_caught() {
    super::on(async {
        for (way, only) in WAYS {
            let broken = Broken {
                way,
                inner: super::memory().await,
                runtime: tokio::runtime::Handle::current(),
                kept: Arc::default(),
            };
            let store = Custom::open(Arc::new(broken), Some(&names()), &CustomOptions::default()).unwrap();
            let only = only.iter().map(|name| (*name).to_owned()).collect();
            let options = CheckOptions { only, timeout: Duration::from_secs(3) };
            let report = check(store, &options).await.unwrap();
            let caught = report.cases.iter().find(|told| told.outcome == Outcome::Failed);
            let caught = caught.unwrap_or_else(|| panic!("{way:?} is not caught: {report:#?}"));
            assert!(caught.expected.is_some() && caught.got.is_some(), "{caught:?}");
        }
    });
}

/// Answers with what no case can go on with: each is told as a failure, and none as a crash.
struct Nonsense;

impl Answerer for Nonsense {
    fn ask(&self, operation: &str, _request: &str, reply: Reply) {
        let told = match operation.len() % 3 {
            0 => Ok("{oops".to_owned()),
            1 => Ok("null".to_owned()),
            _ => Err(Error::backend("no")),
        };
        reply.answer(told);
    }

    fn complain(&self, _message: &str) {}
}

#[test]
fn a_store_that_answers_nonsense_fails_every_case_and_crashes_none() {
    super::on(async {
        let options = CustomOptions { features: Feature::ALL.to_vec(), ..CustomOptions::default() };
        let store = Custom::open(Arc::new(Nonsense), Some(&names()), &options).unwrap();
        let report = check(store, &CheckOptions { timeout: Duration::from_secs(2), ..CheckOptions::default() }).await;
        let report = report.unwrap();
        // What is refused before any store is asked says nothing about this one.
        let passed = report.cases.iter().filter(|told| told.outcome == Outcome::Passed);
        let passed: Vec<&str> = passed.map(|told| &*told.name).collect();
        assert_eq!(passed, ["keeping/keys_that_no_store_would_hold_are_refused"]);
        assert_eq!(report.not_offered, 0, "{report:#?}");
        assert!(report.failed > 150);
    });
}

#[test]
fn an_operation_that_is_not_offered_is_no_failure() {
    super::on(async {
        let inner = super::memory().await;
        let offered: Vec<String> = operations::PROTOCOL
            .iter()
            .filter(|name| **name != "get_signal" && **name != "append_progress")
            .map(|name| (*name).to_owned())
            .collect();
        let around =
            Broken { way: CancelIsForgotten, inner, runtime: tokio::runtime::Handle::current(), kept: Arc::default() };
        let store = Custom::open(Arc::new(around), Some(&offered), &CustomOptions::default()).unwrap();
        let options = CheckOptions { only: vec!["keeping/".into(), "records/".into()], ..CheckOptions::default() };
        let report = check(store, &options).await.unwrap();
        super::sound(&report);
        let missing: Vec<_> =
            report.cases.iter().filter(|told| told.outcome == Outcome::NotOffered).map(|told| &*told.name).collect();
        let expected = [
            "records/progress_stays_in_order",
            "keeping/signals_are_a_log",
            "keeping/a_consumed_signal_gives_way_to_the_next",
            "keeping/cleanup_takes_all_that_belongs_to_it",
        ];
        assert_eq!(missing, expected);
    });
}
