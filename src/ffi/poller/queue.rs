//! The queue of events for the host, with a file descriptor that is readable while there are some. It is a socket pair,
//! because every event loop supports one.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::executor::{Event, Inbox, TaskEvent};
use crate::ffi::plumbing::logging::LogLine;
use crate::model::{Error, Result};

/// Log lines in the queue. If the host is slower, lines are lost; they are counted, and the next line says how many.
const LOG_LINES: usize = 4096;

#[derive(Debug)]
pub enum Message {
    /// A worker's.
    Event(Event),
    /// The answer to what was submitted.
    Reply {
        tag: u64,
        answer: Result<String>,
    },
    Log(LogLine),
}

pub struct Queue {
    /// std Mutex: held for a push, a pop, and the byte that goes with it.
    state: Mutex<State>,
    bell: Condvar,
    /// Senders for the replies that are awaited, by tag; dropping one gives up the wait.
    submitted: Mutex<Submitted>,
}

struct State {
    messages: VecDeque<Message>,
    log_lines: usize,
    /// What the host watches, and our end of it; None: closed.
    pair: Option<(UnixStream, UnixStream)>,
    /// There is a byte in it, unless the host has read it.
    signalled: bool,
    interrupted: bool,
    waiting: usize,
    /// When the host last looked for messages.
    looked: Instant,
}

#[derive(Default)]
struct Submitted {
    last: u64,
    pending: HashMap<u64, Vec<(u64, oneshot::Sender<()>)>>,
    closed: bool,
}

impl Message {
    /// Is it about the end of this task?
    fn closes(&self, task: u64) -> bool {
        match self {
            Self::Event(Event::Told(TaskEvent::Op { .. })) => false,
            Self::Event(Event::Told(told)) => told.tag() == task,
            Self::Event(Event::Task(_) | Event::Worker(_)) | Self::Reply { .. } | Self::Log(_) => false,
        }
    }
}

pub enum Next {
    Message(Box<Message>),
    /// The time is up, or the wait was interrupted.
    Nothing,
    Closed,
}

impl State {
    /// If the socket is full, it is readable already.
    fn signal(&mut self) {
        if !self.signalled
            && let Some((_, ours)) = &mut self.pair
        {
            let _full = ours.write(&[1]);
            self.signalled = true;
        }
    }

    fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        if let Message::Log(_) = message {
            self.log_lines -= 1;
        }
        Some(message)
    }

    /// Nothing is left: the descriptor is not readable any more. A host may have read the byte itself.
    fn settle(&mut self) {
        if self.signalled
            && self.messages.is_empty()
            && !self.interrupted
            && let Some((hosts, _)) = &mut self.pair
        {
            let _read_by_the_host = hosts.read(&mut [0; 8]);
            self.signalled = false;
        }
    }
}

impl Queue {
    pub fn new() -> Result<Self> {
        let pair = || {
            let (hosts, ours) = UnixStream::pair()?;
            hosts.set_nonblocking(true)?;
            ours.set_nonblocking(true)?;
            Ok((hosts, ours))
        };
        let pair = pair().map_err(|why: std::io::Error| {
            Error::backend(format!("make a poller: no descriptors to be had: {why}")).retryable(true)
        })?;
        let state = State {
            messages: VecDeque::new(),
            log_lines: 0,
            pair: Some(pair),
            signalled: false,
            interrupted: false,
            waiting: 0,
            looked: Instant::now(),
        };
        Ok(Self { state: Mutex::new(state), bell: Condvar::new(), submitted: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submitted(&self) -> MutexGuard<'_, Submitted> {
        self.submitted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn descriptor(&self) -> Option<RawFd> {
        self.state().pair.as_ref().map(|(hosts, _)| hosts.as_raw_fd())
    }

    /// Gives the message back when the queue is closed.
    pub fn push(&self, message: Message) -> Option<Message> {
        let mut state = self.state();
        if state.pair.is_none() {
            return Some(message);
        }
        state.messages.push_back(message);
        state.signal();
        let waiting = state.waiting > 0;
        drop(state);
        if waiting {
            self.bell.notify_one();
        }
        None
    }

    /// False: the host is behind, and the line is lost.
    pub fn push_log(&self, line: LogLine) -> bool {
        let mut state = self.state();
        if state.log_lines >= LOG_LINES {
            return false;
        }
        if state.pair.is_some() {
            state.log_lines += 1;
            drop(state);
            drop(self.push(Message::Log(line)));
        }
        true
    }

    /// Waits for a message. `None`: for as long as it takes.
    pub fn next(&self, timeout: Option<Duration>) -> Next {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.state();
        loop {
            state.looked = Instant::now();
            if state.pair.is_none() {
                return Next::Closed;
            }
            if std::mem::take(&mut state.interrupted) {
                state.settle();
                return Next::Nothing;
            }
            if let Some(message) = state.pop() {
                state.settle();
                drop(state);
                if let Ok(message) = self.hand_over(message) {
                    return Next::Message(Box::new(message));
                }
                state = self.state();
                continue;
            }
            // Asked for a sign of life, it has given one.
            state.settle();
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if timeout.is_some() && left.is_none_or(|left| left.is_zero()) {
                return Next::Nothing;
            }
            state.waiting += 1;
            state = match left {
                None => self.bell.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.bell.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
            state.waiting -= 1;
        }
    }

    /// What is there, up to so many; an interruption is over with it.
    pub fn take(&self, most: usize) -> Result<Vec<Message>> {
        let mut taken = Vec::new();
        loop {
            let mut state = self.state();
            if state.pair.is_none() {
                return Err(closed());
            }
            state.interrupted = false;
            state.looked = Instant::now();
            let count = state.messages.len().min(most - taken.len());
            let popped: Vec<Message> = (0..count).filter_map(|_| state.pop()).collect();
            state.settle();
            drop(state);
            let wanted = taken.len() + popped.len();
            let mut gone = Vec::new();
            for message in popped {
                if gone.iter().any(|tag| message.closes(*tag)) {
                    continue;
                }
                match self.hand_over(message) {
                    Ok(message) => taken.push(message),
                    Err(tag) => gone.push(tag),
                }
            }
            if taken.len() == wanted {
                return Ok(taken);
            }
        }
    }

    /// Err: a task whose work would be in vain, by its tag. It does not come to the host, nor what was told of it.
    fn hand_over(&self, message: Message) -> std::result::Result<Message, u64> {
        let Message::Event(Event::Task(task)) = &message else { return Ok(message) };
        if task.may_begin() {
            return Ok(message);
        }
        let tag = task.tag();
        let mut state = self.state();
        state.messages.retain(|other| !other.closes(tag));
        state.settle();
        drop(state);
        Err(tag)
    }

    /// Puts back messages that could not be handed over, in order.
    pub fn put_back(&self, messages: Vec<Message>) {
        let mut state = self.state();
        for message in messages.into_iter().rev() {
            state.log_lines += usize::from(matches!(message, Message::Log(_)));
            state.messages.push_front(message);
        }
        state.signal();
    }

    /// Lets one wait return, the next one if there is none now.
    pub fn interrupt(&self) {
        let mut state = self.state();
        state.interrupted = true;
        state.signal();
        drop(state);
        self.bell.notify_one();
    }

    /// Closes the queue: drops its messages, and ends all waits.
    pub fn close(&self) {
        let mut state = self.state();
        state.pair = None;
        let messages = std::mem::take(&mut state.messages);
        drop(state);
        self.bell.notify_all();
        let mut submitted = self.submitted();
        submitted.closed = true;
        let pending = std::mem::take(&mut submitted.pending);
        drop(submitted);
        drop(pending);
        // Tasks that nobody took go back to the store: their last reference goes here, under no lock.
        drop(messages);
    }

    /// Registers a submission. The receiver is notified, or loses its sender, when its wait is given up.
    pub fn submit(&self, tag: u64) -> Result<(u64, oneshot::Receiver<()>)> {
        let (give_up, given_up) = oneshot::channel();
        let mut submitted = self.submitted();
        if submitted.closed {
            return Err(closed());
        }
        submitted.last += 1;
        let number = submitted.last;
        submitted.pending.entry(tag).or_default().push((number, give_up));
        Ok((number, given_up))
    }

    pub fn reply(&self, tag: u64, number: u64, answer: Result<String>) {
        let mut submitted = self.submitted();
        if let Some(pending) = submitted.pending.get_mut(&tag) {
            pending.retain(|(other, _)| *other != number);
            if pending.is_empty() {
                submitted.pending.remove(&tag);
            }
        }
        drop(submitted);
        drop(self.push(Message::Reply { tag, answer }));
    }

    /// Gives the waiting up for all submissions of a tag. False: there is none.
    pub fn give_up(&self, tag: u64) -> bool {
        let pending = self.submitted().pending.remove(&tag);
        pending.is_some()
    }
}

fn closed() -> Error {
    Error::closed("the poller was freed")
}

impl Inbox for Queue {
    fn post(&self, event: Event) -> Option<Event> {
        match self.push(Message::Event(event)) {
            Some(Message::Event(event)) => Some(event),
            Some(Message::Reply { .. } | Message::Log(_)) | None => None,
        }
    }

    fn is_closed(&self) -> bool {
        self.state().pair.is_none()
    }

    fn beat(&self) -> Instant {
        let mut state = self.state();
        if state.waiting > 0 {
            state.looked = Instant::now();
        } else {
            state.signal();
        }
        state.looked
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn reply(tag: u64) -> Message {
        Message::Reply { tag, answer: Ok(String::new()) }
    }

    fn tag(next: Next) -> Option<u64> {
        match next {
            Next::Message(message) => match *message {
                Message::Reply { tag, .. } => Some(tag),
                _ => None,
            },
            _ => None,
        }
    }

    /// Would poll() call the descriptor readable?
    fn readable(queue: &Queue) -> bool {
        let mut poll = libc::pollfd { fd: queue.descriptor().unwrap(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, and nothing waits.
        unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
    }

    #[test]
    fn the_descriptor_is_readable_while_there_are_messages() {
        let queue = Queue::new().unwrap();
        assert!(!readable(&queue));
        (0..3).for_each(|tag| drop(queue.push(reply(tag))));
        assert!(readable(&queue));
        assert_eq!(tag(queue.next(None)), Some(0));
        assert!(readable(&queue));
        assert_eq!(queue.take(10).unwrap().len(), 2);
        assert!(!readable(&queue));
        assert!(tag(queue.next(Some(Duration::ZERO))).is_none());
        queue.put_back(vec![reply(3)]);
        assert!(readable(&queue));
    }

    /// Some event loops read what they watch.
    #[test]
    fn a_host_that_reads_the_byte_itself_misses_nothing() {
        let queue = Queue::new().unwrap();
        for round in 0..3 {
            drop(queue.push(reply(round)));
            assert!(readable(&queue));
            let _byte = queue.state().pair.as_mut().unwrap().0.read(&mut [0; 1]).unwrap();
            assert!(!readable(&queue));
            assert_eq!(queue.take(10).unwrap().len(), 1);
        }
        drop(queue.push(reply(9)));
        assert!(readable(&queue));
    }

    /// With nothing to take there is no event either: an empty take, or a look, is the sign.
    #[test]
    fn a_host_that_is_asked_for_a_sign_of_life_gives_it_by_looking() {
        let queue = Arc::new(Queue::new().unwrap());
        let first = queue.beat();
        assert!(readable(&queue));
        assert_eq!(queue.beat(), first);
        assert!(queue.take(10).unwrap().is_empty() && !readable(&queue));
        let second = queue.beat();
        assert!(second > first && readable(&queue));
        assert!(tag(queue.next(Some(Duration::ZERO))).is_none() && !readable(&queue));
        assert!(queue.beat() > second);
        // One that waits lives, and is not disturbed.
        queue.take(10).unwrap();
        let other = Arc::clone(&queue);
        let waits = std::thread::spawn(move || tag(other.next(None)));
        while queue.state().waiting == 0 {
            std::thread::yield_now();
        }
        let waiting = queue.beat();
        assert!(queue.beat() > waiting && !readable(&queue));
        drop(queue.push(reply(5)));
        assert_eq!(waits.join().unwrap(), Some(5));
    }

    #[test]
    fn an_interruption_ends_one_wait() {
        let queue = Arc::new(Queue::new().unwrap());
        let other = Arc::clone(&queue);
        let waits = std::thread::spawn(move || matches!(other.next(None), Next::Nothing));
        queue.interrupt();
        assert!(waits.join().unwrap());
        assert!(!readable(&queue));
        queue.interrupt();
        assert!(readable(&queue));
        assert!(matches!(queue.next(None), Next::Nothing));
    }

    #[test]
    fn what_is_closed_takes_and_gives_nothing() {
        let queue = Arc::new(Queue::new().unwrap());
        let other = Arc::clone(&queue);
        let waits = std::thread::spawn(move || matches!(other.next(None), Next::Closed));
        let (_, mut given_up) = queue.submit(7).unwrap();
        queue.close();
        assert!(waits.join().unwrap());
        assert!(given_up.try_recv().is_err() && queue.push(reply(1)).is_some() && queue.take(1).is_err());
        assert!(queue.submit(8).is_err() && queue.descriptor().is_none());
    }
}
