//! The conformance suite's cases of dispatches, keys, signals and cancels, asked through SQL: a store whose dispatches,
//! signals and cancels are the functions', and whose other operations are the library's.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use stent::backend::SharedBackend;
use stent::backend::custom::{Answerer, Custom, Reply};
use stent::backend::postgres::Postgres;
use stent::check::{Outcome, check};
use stent::codec::operations;
use stent::model::{CheckOptions, CustomOptions, Error, Id, Result, Status};

use super::{Client, Refusal};
use crate::postgres::fresh_url;

struct Door {
    inner: SharedBackend,
    callers: Arc<Callers>,
    runtime: tokio::runtime::Handle,
}

/// Connections of those who call the functions: as many as there are at once, for in a new one the functions are read and
/// planned anew. Whoever was refused is not asked again.
struct Callers {
    url: String,
    free: Mutex<Vec<Client>>,
}

impl Callers {
    async fn take(&self) -> Client {
        let free = self.free.lock().unwrap().pop();
        match free {
            Some(client) => client,
            None => Client::of(&self.url).await,
        }
    }

    fn put_back(&self, client: Client) {
        self.free.lock().unwrap().push(client);
    }
}

impl Answerer for Door {
    fn ask(&self, operation: &str, request: &str, reply: Reply) {
        let (inner, callers) = (Arc::clone(&self.inner), Arc::clone(&self.callers));
        let (operation, request) = (operation.to_owned(), request.to_owned());
        self.runtime.spawn(async move {
            let asked: Value = serde_json::from_str(&request).unwrap();
            reply.answer(match operation.as_str() {
                "dispatch" => dispatch(&callers, &request).await,
                "signal" => signal(&inner, &callers, &asked["signal"]).await,
                "cancel" => cancel(&inner, &callers, &asked).await,
                _ => operations::call(inner.as_ref(), &operation, Some(&request)).await,
            });
        });
    }

    fn complain(&self, message: &str) {
        panic!("{message}");
    }
}

fn error(refusal: Refusal) -> Error {
    match refusal.status() {
        Status::Backend => Error::backend(format!("{refusal:?}")).retryable(true),
        status => Error::new(status, refusal.told),
    }
}

/// In one transaction, as the library's.
async fn dispatch(callers: &Callers, request: &str) -> Result<String> {
    // As they are written: no number of the arguments is read.
    #[derive(serde::Deserialize)]
    struct New<'a> {
        id: Id,
        function: String,
        #[serde(borrow)]
        args: &'a serde_json::value::RawValue,
        #[serde(borrow)]
        options: std::collections::BTreeMap<String, &'a serde_json::value::RawValue>,
    }
    #[derive(serde::Deserialize)]
    struct All<'a> {
        #[serde(borrow)]
        executions: Vec<New<'a>>,
    }
    let all: All<'_> = serde_json::from_str(request).unwrap();
    let client = callers.take().await;
    client.say("BEGIN").await;
    let mut ids = Vec::new();
    for mut new in all.executions {
        let id = serde_json::value::RawValue::from_string(format!("\"{}\"", new.id)).unwrap();
        new.options.insert("id".to_owned(), &id);
        let options = serde_json::to_string(&new.options).unwrap();
        ids.push(client.dispatch(&new.function, new.args.get(), &options).await.map_err(error)?);
    }
    client.run("COMMIT").await.map_err(error)?;
    callers.put_back(client);
    Ok(serde_json::to_string(&ids).unwrap())
}

/// Whoever sweeps next does what was asked for.
async fn done(inner: &SharedBackend, callers: &Callers, client: Client) -> Result<String> {
    while client.count("requests").await != "0" {
        inner.sweep("whoever").await?;
    }
    callers.put_back(client);
    Ok("null".to_owned())
}

fn id(value: &Value) -> Id {
    value.as_str().unwrap().parse().unwrap()
}

async fn signal(inner: &SharedBackend, callers: &Callers, signal: &Value) -> Result<String> {
    let client = callers.take().await;
    let options = match signal["id"].as_str() {
        Some(sending) => serde_json::json!({ "id": sending }).to_string(),
        None => "{}".to_owned(),
    };
    let (execution, name) = (id(&signal["execution_id"]), signal["name"].as_str().unwrap());
    client.signal(execution, name, &signal["payload"].to_string(), &options).await.map_err(error)?;
    done(inner, callers, client).await
}

async fn cancel(inner: &SharedBackend, callers: &Callers, asked: &Value) -> Result<String> {
    let client = callers.take().await;
    client.cancel(id(&asked["execution_id"]), asked["reason"].as_str()).await.map_err(error)?;
    done(inner, callers, client).await
}

/// Cases of what is the library's alone: it counts what is left for sweeps, of which there have been some by then; it is of
/// functions that an executor has registered and no worker yet, and here is no executor.
const OTHERS: [&str; 3] = [
    "cancels/large_trees_are_cancelled_in_batches",
    "options/the_dispatcher_s_registration_makes_a_dispatch_idempotent",
    "options/until_a_worker_says_more_the_dispatcher_s_registration_counts",
];

#[test]
fn the_suites_cases_pass_through_sql() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let url = fresh_url("");
        let inner: SharedBackend = Postgres::open(&url).await.unwrap();
        let names: Vec<String> =
            operations::PROTOCOL.iter().chain(operations::ENGINE).map(|name| (*name).to_owned()).collect();
        let callers = Arc::new(Callers { url, free: Mutex::default() });
        let door = Door { inner, callers, runtime: tokio::runtime::Handle::current() };
        let store = Custom::open(Arc::new(door), Some(&names), &CustomOptions::default()).unwrap();
        let only = [
            "keys/",
            "signals/",
            "cancels/",
            "cleanups/",
            "options/",
            "routes/",
            "times/",
            "limits/",
            "pauses/",
            "moves/",
        ];
        let only = only.iter().map(|name| (*name).to_owned()).collect();
        let report = check(store, &CheckOptions { only, ..CheckOptions::default() }).await.unwrap();
        let failed = report.cases.iter().filter(|told| told.outcome != Outcome::Passed);
        let failed: Vec<_> = failed.filter(|told| !OTHERS.contains(&told.name.as_str())).collect();
        assert!(failed.is_empty(), "{failed:#?}");
        assert!(report.passed > 60, "{} cases", report.passed);
    });
}
