//! A bounded queue of spans, and the thread that sends them.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use ureq::Agent;

use super::encode::encode;
use super::settings::Settings;
use crate::executor::{LogRecord, Logger, Span, Tracer};
use crate::model::Level;
use crate::threads;

/// Spans that wait to be sent. While the collector is away, later ones are lost.
const QUEUE: usize = 8_192;

/// So many make a request, at once.
const BATCH: usize = 512;

/// Fewer wait for others for so long.
const DELAY: Duration = Duration::from_secs(1);

/// Pauses while the collector does not answer.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LONGEST: Duration = Duration::from_secs(30);

/// Dropped, it sends once what is there, and ends its thread.
pub struct Exporter(Arc<Inner>);

struct Inner {
    settings: Settings,
    agent: Agent,
    logger: Arc<dyn Logger>,
    /// std Mutex: never held while something is sent.
    queue: Mutex<Queue>,
    /// For the thread: a batch is there, somebody waits for it to be sent, or all is over.
    bell: Condvar,
    /// For those who wait.
    sent: Condvar,
}

#[derive(Default)]
struct Queue {
    spans: VecDeque<Span>,
    /// How many were taken off the queue for good: sent or lost.
    done: u64,
    /// How many were put on it.
    put: u64,
    lost: u64,
    /// Up to here somebody waits for.
    wanted: u64,
    /// Requests that failed. Who waits does not wait for the next one.
    failures: u64,
    closed: bool,
}

/// Why a request was not taken.
enum Refusal {
    /// It may be later.
    Later(String),
    Never(String),
}

impl Exporter {
    /// # Errors
    /// The thread could not be made.
    pub fn start(settings: Settings, logger: Arc<dyn Logger>) -> io::Result<Self> {
        let agent = Agent::config_builder()
            .timeout_global(Some(settings.timeout))
            .http_status_as_error(false)
            .max_redirects(0)
            .build()
            .into();
        let inner = Arc::new(Inner {
            settings,
            agent,
            logger,
            queue: Mutex::default(),
            bell: Condvar::new(),
            sent: Condvar::new(),
        });
        let own = Arc::clone(&inner);
        threads::spawn("stent-otlp", None, move || own.work())?;
        Ok(Self(inner))
    }

    /// For those who wait for it, also after it was dropped.
    pub fn waiter(&self) -> Waiter {
        Waiter(Arc::downgrade(&self.0))
    }
}

/// Knows an exporter as long as its thread has something to send.
#[derive(Clone)]
pub struct Waiter(Weak<Inner>);

impl Waiter {
    /// Nobody can have to wait for it any more.
    pub fn is_over(&self) -> bool {
        self.0.strong_count() == 0
    }

    /// Waits until what is there by now has been sent, or could not be.
    pub fn flush(&self, timeout: Duration) {
        if let Some(inner) = self.0.upgrade() {
            inner.flush(timeout);
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.0.queue().closed = true;
        self.0.bell.notify_one();
    }
}

impl Tracer for Exporter {
    fn finish(&self, span: Span) {
        let mut queue = self.0.queue();
        if queue.spans.len() >= QUEUE {
            queue.lost += 1;
            return;
        }
        queue.spans.push_back(span);
        queue.put += 1;
        let count = queue.spans.len();
        drop(queue);
        if count == 1 || count == BATCH {
            self.0.bell.notify_one();
        }
    }
}

impl Inner {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let mut queue = self.queue();
        let (wanted, failures) = (queue.put, queue.failures);
        queue.wanted = queue.wanted.max(wanted);
        self.bell.notify_one();
        while queue.done < wanted && queue.failures == failures {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            queue = self.sent.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn work(&self) {
        let mut pause = PAUSE_FIRST;
        // That it fails is told once, and once that it does no more.
        let mut failing = false;
        let mut tell = |why: Option<&str>, lost: u64| match why {
            Some(why) if !std::mem::replace(&mut failing, true) => {
                let told =
                    format!("spans can't be exported to {}: {why}; up to {QUEUE} are kept meanwhile", self.place());
                self.log(Level::Warn, told);
            }
            None if std::mem::take(&mut failing) || lost > 0 => {
                self.log(Level::Info, format!("spans are exported to {}; {lost} were lost before", self.place()));
            }
            _ => {}
        };
        while let Some(batch) = self.take() {
            let sent = self.send(&batch);
            // Told before those who wait go on: the program may end then.
            let (lost, again) = match &sent {
                Ok(()) => {
                    let lost = std::mem::take(&mut self.queue().lost);
                    tell(None, lost);
                    (0, false)
                }
                Err(Refusal::Never(why)) => {
                    tell(Some(why), 0);
                    (batch.len() as u64, false)
                }
                Err(Refusal::Later(why)) => {
                    tell(Some(why), 0);
                    (0, true)
                }
            };
            let mut queue = self.queue();
            queue.lost += lost;
            if !again {
                queue.done += batch.len() as u64;
                self.sent.notify_all();
                pause = PAUSE_FIRST;
                continue;
            }
            // Back to where they were.
            batch.into_iter().rev().for_each(|span| queue.spans.push_front(span));
            queue.failures += 1;
            queue.wanted = 0;
            self.sent.notify_all();
            if queue.closed {
                return;
            }
            let asleep = |queue: &mut Queue| !queue.closed && queue.wanted == 0;
            let woken = self.bell.wait_timeout_while(queue, pause, asleep);
            drop(woken.unwrap_or_else(PoisonError::into_inner));
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }

    /// The next batch. `None`: there will be none any more.
    fn take(&self) -> Option<Vec<Span>> {
        let idle = |queue: &mut Queue| queue.spans.is_empty() && !queue.closed;
        let queue = self.bell.wait_while(self.queue(), idle).unwrap_or_else(PoisonError::into_inner);
        let few = |queue: &mut Queue| queue.spans.len() < BATCH && !queue.closed && queue.wanted <= queue.done;
        let (mut queue, _) = self.bell.wait_timeout_while(queue, DELAY, few).unwrap_or_else(PoisonError::into_inner);
        let count = queue.spans.len().min(BATCH);
        let batch: Vec<Span> = queue.spans.drain(..count).collect();
        (!batch.is_empty()).then_some(batch)
    }

    fn send(&self, batch: &[Span]) -> Result<(), Refusal> {
        let body = encode(batch, &self.settings.resource);
        let mut request = self.agent.post(&self.settings.url).header("Content-Type", "application/x-protobuf");
        for (name, value) in &self.settings.headers {
            request = request.header(name, value);
        }
        let response = request.send(&body[..]).map_err(|why| match why {
            ureq::Error::Http(_) | ureq::Error::BadUri(_) => Refusal::Never(why.to_string()),
            why => Refusal::Later(why.to_string()),
        })?;
        let status = response.status();
        match status.as_u16() {
            200..=299 => Ok(()),
            408 | 429 | 502 | 503 | 504 => Err(Refusal::Later(status.to_string())),
            _ => Err(Refusal::Never(status.to_string())),
        }
    }

    /// The URL without what may be secret.
    fn place(&self) -> &str {
        let url = self.settings.url.split(['?', '#']).next().unwrap_or_default();
        url.rsplit_once('@').map_or(url, |(_, after)| after)
    }

    fn log(&self, level: Level, told: String) {
        if self.logger.enabled(level) {
            self.logger.log(level, &LogRecord::new("stent.otlp", told));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::model::Timestamp;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl Logger for Lines {
        fn log(&self, _level: Level, record: &LogRecord) {
            self.0.lock().unwrap().push(record.message.clone());
        }
    }

    fn span(id: u8) -> Span {
        Span {
            trace: [1; 16],
            id: [id; 8],
            parent: None,
            name: "run f".to_owned(),
            consumes: true,
            start: Timestamp::from_micros(1),
            end: Timestamp::from_micros(2),
            trouble: None,
            attributes: Vec::new(),
        }
    }

    fn exporter(url: String) -> (Exporter, Arc<Lines>) {
        let lines = Arc::new(Lines::default());
        let settings = Settings { url, headers: Vec::new(), timeout: Duration::from_secs(10), resource: Vec::new() };
        (Exporter::start(settings, Arc::clone(&lines) as _).unwrap(), lines)
    }

    /// Answers so, one after the other; and gives what was posted.
    fn collector(answers: &'static [u16]) -> (String, Receiver<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let (sender, posted) = channel();
        std::thread::spawn(move || {
            for answer in answers {
                let mut reader = BufReader::new(listener.accept().unwrap().0);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    reader.read_line(&mut head).unwrap();
                }
                let head = head.to_lowercase();
                let length = head.split("content-length:").nth(1).unwrap().lines().next().unwrap().trim();
                let mut body = vec![0; length.parse().unwrap()];
                reader.read_exact(&mut body).unwrap();
                sender.send(body).unwrap();
                let head = format!("HTTP/1.1 {answer} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                reader.get_mut().write_all(head.as_bytes()).unwrap();
            }
        });
        (url, posted)
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn what_is_refused_for_now_is_sent_again() {
        let (url, posted) = collector(&[503, 429, 200]);
        let (exporter, lines) = exporter(url);
        exporter.finish(span(1));
        for _ in 0..3 {
            exporter.waiter().flush(LONG);
        }
        let bodies: Vec<_> = (0..3).map(|_| posted.recv_timeout(LONG).unwrap()).collect();
        assert!(!bodies[0].is_empty() && bodies.iter().all(|body| *body == bodies[0]));
        exporter.waiter().flush(LONG);
        let lines = lines.0.lock().unwrap();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("503") && lines[1].contains("0 were lost"), "{lines:?}");
    }

    #[test]
    fn what_is_refused_for_good_is_lost_and_told_once() {
        let (url, posted) = collector(&[400, 400, 200]);
        let (exporter, lines) = exporter(url);
        for id in 1..4 {
            exporter.finish(span(id));
            exporter.waiter().flush(LONG);
            posted.recv_timeout(LONG).unwrap();
        }
        let lines = lines.0.lock().unwrap();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("400") && lines[1].contains("2 were lost"), "{lines:?}");
    }

    #[test]
    fn a_queue_that_is_full_holds_nobody_up() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (exporter, lines) = exporter(format!("http://user:secret@{free}/v1/traces"));
        for _ in 0..2 * QUEUE {
            exporter.finish(span(1));
        }
        exporter.waiter().flush(LONG);
        let queue = exporter.0.queue();
        assert!(queue.lost > 0 && queue.spans.len() <= QUEUE + BATCH, "{} {}", queue.lost, queue.spans.len());
        drop(queue);
        let told = || lines.0.lock().unwrap().clone();
        let begun = Instant::now();
        while told().is_empty() {
            assert!(begun.elapsed() < LONG);
            std::thread::yield_now();
        }
        assert!(told().len() == 1 && !told()[0].contains("secret"), "{:?}", told());
    }
}
