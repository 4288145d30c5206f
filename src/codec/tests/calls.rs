//! A call goes through JSON to the backend and back.

use std::sync::Mutex;

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::samples;
use crate::backend::*;
use crate::codec::operations;
use crate::model::{DeadLetter, Error, Execution, Id, Number, Payload, Result, Status};

/// Remembers the request and gives the answer it was made with.
struct Recorder {
    asked: Mutex<Vec<Request>>,
    answer: Result<Response>,
}

impl Recorder {
    fn new(answer: Result<Response>) -> Self {
        Self { asked: Mutex::new(Vec::new()), answer }
    }
}

fn unsupported<T>() -> Result<T> {
    Err(Error::new(Status::Unsupported, "only the protocol"))
}

#[async_trait]
impl Backend for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    async fn call(&self, request: Request) -> Result<Response> {
        self.asked.lock().unwrap().push(request);
        self.answer.clone()
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        broadcast::channel(1).1
    }

    async fn dispatch(&self, _: Vec<NewExecution>) -> Result<Vec<Id>> {
        unsupported()
    }

    async fn register_worker(&self, _: NewWorker) -> Result<()> {
        unsupported()
    }

    async fn remove_worker(&self, _: &str) -> Result<()> {
        unsupported()
    }

    async fn advance(&self, _: Vec<Transition>, _: Option<Claim>) -> Result<(Vec<Verdict>, Vec<Claimed>)> {
        unsupported()
    }

    async fn journals(&self, _: Vec<JournalRequest>) -> Result<Vec<Vec<JournalEntry>>> {
        unsupported()
    }

    async fn cached(&self, _: Vec<String>) -> Result<Vec<Option<Payload>>> {
        unsupported()
    }

    async fn renew(&self, _: Renew) -> Result<Renewed> {
        unsupported()
    }

    async fn sweep(&self, _: &str) -> Result<Swept> {
        unsupported()
    }

    async fn cancel(&self, _: Id, _: Option<String>) -> Result<()> {
        unsupported()
    }

    async fn signal(&self, _: NewSignal) -> Result<()> {
        unsupported()
    }

    async fn ended_among(&self, _: Vec<Id>) -> Result<Vec<Id>> {
        unsupported()
    }

    async fn cancelled_among(&self, _: Vec<Id>) -> Result<Vec<Id>> {
        unsupported()
    }

    async fn snapshot(&self, _: Id) -> Result<Option<Snapshot>> {
        unsupported()
    }

    async fn list(&self, _: ExecutionFilter) -> Result<Vec<Execution>> {
        unsupported()
    }

    async fn dead_letters(&self, _: DeadLetterFilter) -> Result<Vec<DeadLetter>> {
        unsupported()
    }

    async fn replay_dead_letter(&self, _: Id, _: Id) -> Result<Replayed> {
        unsupported()
    }

    async fn resume(&self, _: Id) -> Result<()> {
        unsupported()
    }

    async fn stats(&self) -> Result<StoreStats> {
        unsupported()
    }
}

#[tokio::test]
async fn the_answer_is_the_bare_value() {
    for (answer, text) in [
        (Response::Nothing, "null"),
        (Response::Task(None), "null"),
        (Response::Count(7), "7"),
        (Response::Flag(true), "true"),
        (Response::Number(Number::Real(0.5)), "0.5"),
        (Response::Payload(Some(Payload::from("[1, 2]"))), "[1, 2]"),
        (Response::Tasks(Vec::new()), "[]"),
    ] {
        let backend = Recorder::new(Ok(answer));
        assert_eq!(operations::call(&backend, "init_db", None).await.unwrap(), text);
        assert_eq!(*backend.asked.lock().unwrap(), [Request::InitDb {}]);
    }
}

#[tokio::test]
async fn payloads_reach_the_backend_to_the_letter() {
    let backend = Recorder::new(Ok(Response::Nothing));
    let id = samples::id(1);
    let text = format!(r#"{{"execution_id": "{id}", "key": "total", "value": {{"b": 1.10,"a":2}} }}"#);
    operations::call(&backend, "set_execution_state_value", Some(&text)).await.unwrap();
    let value = Payload::from(r#"{"b": 1.10,"a":2}"#);
    let expected = Request::SetExecutionStateValue { execution_id: id, key: "total".into(), value };
    assert_eq!(*backend.asked.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn bad_requests_never_reach_the_backend_and_its_errors_come_back() {
    let backend = Recorder::new(Err(Error::conflict("create_task: it exists")));
    assert_eq!(operations::call(&backend, "get_task", None).await.unwrap_err().status(), Status::Invalid);
    assert!(backend.asked.lock().unwrap().is_empty());
    assert_eq!(operations::call(&backend, "close", None).await.unwrap_err().status(), Status::Conflict);
}
