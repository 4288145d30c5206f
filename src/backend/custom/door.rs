//! Asks the user's function one question and waits for its one answer, with a time-out, until the backend is closed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::contract;
use crate::backend::{Request, Response};
use crate::codec::operations;
use crate::model::{Error, Result, Status};

/// Bytes of a wrong answer that are shown.
const SHOWN_MAX: usize = 200;

/// The user's function.
pub trait Answerer: Send + Sync + 'static {
    /// Must answer by `reply`, before it returns or later, on any thread. May be called several times at once. Called
    /// on a thread that may block.
    fn ask(&self, operation: &str, request: &str, reply: Reply);

    /// Called with a sentence for the log when the function has broken its contract.
    fn complain(&self, message: &str);
}

/// Takes the one answer. If it is dropped without one, the caller gets an error.
pub struct Reply {
    operation: String,
    sender: Option<oneshot::Sender<Result<String>>>,
}

impl Reply {
    /// False: nobody is waiting any more, because the time-out has passed or the backend was closed.
    pub fn answer(mut self, answer: Result<String>) -> bool {
        self.sender.take().is_some_and(|sender| sender.send(answer).is_ok())
    }

    pub fn operation(&self) -> &str {
        &self.operation
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            let why = format!("{}: the custom backend let go of the reply without an answer", self.operation);
            // Nobody may be waiting any more.
            let _nobody = sender.send(Err(Error::backend(why)));
        }
    }
}

/// Calls the user's function.
pub(super) struct Door {
    answerer: Arc<dyn Answerer>,
    /// Operations that it answers.
    offered: Vec<&'static str>,
    timeout: Duration,
    closed: watch::Sender<bool>,
    /// Calls of the function that have not returned, whether they are answered or not.
    running: Arc<watch::Sender<usize>>,
}

/// One call of the function.
struct Running(Arc<watch::Sender<usize>>);

impl Running {
    fn enter(running: &Arc<watch::Sender<usize>>) -> Self {
        running.send_modify(|running| *running += 1);
        Self(Arc::clone(running))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|running| *running -= 1);
    }
}

impl Door {
    pub(super) fn new(answerer: Arc<dyn Answerer>, offered: Vec<&'static str>, timeout: Duration) -> Self {
        let running = Arc::new(watch::Sender::new(0));
        Self { answerer, offered, timeout, closed: watch::Sender::new(false), running }
    }

    pub(super) fn offers(&self, operation: &str) -> bool {
        self.offered.contains(&operation)
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Refuses every call from now on, and fails those that are waiting.
    pub(super) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Waits until no call of the function runs: whoever closes a backend may take away what the function stands on, a
    /// language's interpreter for one.
    async fn left(&self) -> Result<()> {
        let mut running = self.running.subscribe();
        match tokio::time::timeout(self.timeout, running.wait_for(|running| *running == 0)).await {
            Ok(_) => Ok(()),
            Err(_) => {
                let limit = self.timeout.as_secs_f64();
                let why = format!("close: calls of the custom backend's function have not returned within {limit} s");
                Err(Error::new(Status::Timeout, why).with("operation", "close"))
            }
        }
    }

    /// Asks, and waits for the backend's time-out plus `extra`.
    pub(super) async fn ask(&self, operation: &str, body: String, extra: Duration) -> Result<String> {
        let mut closing = self.closed.subscribe();
        if self.is_closed() {
            return Err(closed(operation));
        }
        let answer = self.question(operation, body);
        let limit = self.timeout.saturating_add(extra);
        tokio::select! {
            biased;
            answered = answer => answered.map_err(|why| why.with("operation", operation)),
            _ = closing.wait_for(|closed| *closed) => Err(closed(operation)),
            () = tokio::time::sleep(limit) => Err(self.too_late(operation, limit)),
        }
    }

    async fn question(&self, operation: &str, body: String) -> Result<String> {
        let (sender, receiver) = oneshot::channel();
        let reply = Reply { operation: operation.to_owned(), sender: Some(sender) };
        let (answerer, name) = (Arc::clone(&self.answerer), operation.to_owned());
        let running = Running::enter(&self.running);
        tokio::task::spawn_blocking(move || {
            let _running = running;
            answerer.ask(&name, &body, reply);
        });
        receiver.await.unwrap_or_else(|_| Err(Error::backend(format!("{operation}: the custom backend is gone"))))
    }

    fn too_late(&self, operation: &str, limit: Duration) -> Error {
        let why = format!(
            "{operation}: the custom backend has not answered within {} s; answer every call once, by stent_reply_ok or \
             stent_reply_error, or give it a longer timeout",
            limit.as_secs_f64()
        );
        self.answerer.complain(&why);
        Error::new(Status::Timeout, why).retryable(true).with("operation", operation)
    }

    /// The error for an answer that breaks the contract, which is also logged.
    pub(super) fn broken(&self, operation: &str, answer: &str, why: &str) -> Error {
        let message = format!("the custom backend's answer to {operation} breaks the contract: {why}");
        self.answerer.complain(&message);
        let shown: String = answer.chars().take(SHOWN_MAX).collect();
        Error::backend(message).with("operation", operation).with("answer", shown)
    }

    /// One operation of the protocol.
    pub(super) async fn call(&self, request: Request) -> Result<Response> {
        let (operation, body) = operations::asked(&request);
        let last = request == Request::Close {};
        if last && !self.offers(&operation) {
            self.close();
            return self.left().await.map(|()| Response::Nothing);
        }
        if !self.offers(&operation) {
            return Err(not_offered(&operation));
        }
        let answered = self.ask(&operation, body, Duration::ZERO).await;
        if last {
            self.close();
        }
        let answer = answered?;
        if last {
            self.left().await?;
        }
        let response =
            operations::response(&operation, &answer).map_err(|why| self.broken(&operation, &answer, why.message()))?;
        contract::check(&request, &response).map_err(|why| self.broken(&operation, &answer, &why))?;
        Ok(response)
    }
}

fn closed(operation: &str) -> Error {
    Error::closed(format!("{operation}: the custom backend is closed")).with("operation", operation)
}

fn not_offered(operation: &str) -> Error {
    let why = format!("{operation} is not among the operations that this custom backend answers");
    Error::new(Status::Unsupported, why).with("operation", operation)
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    /// Answers at once, and returns when it is told to.
    struct Lingering(Mutex<mpsc::Receiver<()>>);

    impl Answerer for Lingering {
        fn ask(&self, operation: &str, _: &str, reply: Reply) {
            assert!(reply.answer(Ok("null".to_owned())));
            if operation == "init_db" {
                self.0.lock().unwrap().recv().unwrap();
            }
        }

        fn complain(&self, _: &str) {}
    }

    async fn closing(timeout: Duration) -> (mpsc::Sender<()>, tokio::task::JoinHandle<Result<Response>>) {
        let (go, wait) = mpsc::channel();
        let offered = vec!["init_db", "close"];
        let door = Arc::new(Door::new(Arc::new(Lingering(Mutex::new(wait))), offered, timeout));
        door.call(Request::InitDb {}).await.unwrap();
        let closer = Arc::clone(&door);
        let closing = tokio::spawn(async move { closer.call(Request::Close {}).await });
        while !door.is_closed() {
            tokio::task::yield_now().await;
        }
        (go, closing)
    }

    #[tokio::test]
    async fn a_close_waits_for_calls_that_have_answered_and_not_returned() {
        let (go, mut closing) = closing(Duration::from_secs(30)).await;
        let early = tokio::time::timeout(Duration::from_millis(50), &mut closing).await;
        assert!(early.is_err(), "it is closed while a call runs");
        go.send(()).unwrap();
        closing.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_close_gives_up_in_the_backends_time() {
        let (go, closing) = closing(Duration::from_secs(1)).await;
        let why = closing.await.unwrap().unwrap_err();
        assert_eq!(why.status(), Status::Timeout);
        assert!(why.message().contains("have not returned"), "{why}");
        go.send(()).unwrap();
    }
}
