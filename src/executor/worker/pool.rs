//! The threads that run handlers, and their slots. Threads are created when they are first needed, and kept.
//!
//! A thread that has finished a job takes the next one itself, without a wake-up. If one more thread could help, one is
//! woken or created at a time, and it wakes the next when it has found work. So many short jobs need few wake-ups, and
//! many long ones still get their threads quickly.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, OnceLock};

use super::turns::{Job, Slot, Turns};
use crate::executor::sync::lock;
use crate::threads;

thread_local! {
    static HANDLER: Cell<bool> = const { Cell::new(false) };
}

/// Is this a handler thread of a worker? Functions that wait for handlers to end must not be called on one.
pub fn on_handler_thread() -> bool {
    HANDLER.get()
}

pub(super) struct Pool<J: Job>(Arc<Inner<J>>);

struct Inner<J> {
    slots: usize,
    /// Whoever gathers jobs.
    listener: OnceLock<Box<dyn Fn(Outlook) + Send + Sync>>,
    state: Mutex<State<J>>,
    wake: Condvar,
}

/// What a handler's thread does for jobs that have their slots.
pub(super) type Call = Box<dyn FnOnce() + Send>;

/// Who has such threads.
pub(super) trait Threads: Send + Sync {
    fn call(&self, call: Call);

    /// Nothing new is to begin.
    fn none_may_begin(&self) -> bool;

    /// For timers.
    fn runtime(&self) -> &tokio::runtime::Handle;
}

struct State<J> {
    turns: Turns<J>,
    calls: VecDeque<Call>,
    /// Jobs that are on their way to others, with which they begin.
    gathering: usize,
    threads: usize,
    idle: usize,
    /// A thread was woken or made and has not looked at the queue yet.
    searching: bool,
    closed: bool,
}

enum Help {
    None,
    Wake,
    Make,
}

impl<J: Job> Pool<J> {
    pub(super) fn new(slots: usize) -> Self {
        let state = State {
            turns: Turns::new(slots),
            calls: VecDeque::new(),
            gathering: 0,
            threads: 0,
            idle: 0,
            searching: false,
            closed: false,
        };
        Self(Arc::new(Inner { slots, listener: OnceLock::new(), state: Mutex::new(state), wake: Condvar::new() }))
    }

    /// Queues jobs that run as slots become free: `first` before those that are queued already, `then` after them.
    ///
    /// # Errors
    /// There is no thread, and none could be created. The jobs stay queued; [`Pool::kick`] tries again.
    pub(super) fn push(&self, first: Vec<J>, then: Vec<J>) -> std::io::Result<()> {
        let mut state = lock(&self.0.state);
        state.turns.push(first, then);
        let help = self.0.help(&mut state);
        drop(state);
        Inner::give(&self.0, help)
    }

    /// Calls it on a thread, before any job that waits: it is for jobs that have their slots and no threads.
    ///
    /// # Errors
    /// As [`Pool::push`].
    pub(super) fn call(&self, call: Call) -> std::io::Result<()> {
        let mut state = lock(&self.0.state);
        state.calls.push_back(call);
        let help = self.0.help(&mut state);
        drop(state);
        Inner::give(&self.0, help)
    }

    /// For whoever gathers jobs. Once.
    pub(super) fn listen(&self, listener: Box<dyn Fn(Outlook) + Send + Sync>) {
        let _once = self.0.listener.set(listener);
    }

    /// A job that went on without its thread has ended.
    pub(super) fn slot_freed(&self, apart: bool) {
        let mut state = lock(&self.0.state);
        state.turns.freed(apart);
        let help = self.0.help(&mut state);
        drop(state);
        // If no thread could be created, the next kick tries again.
        let _later = Inner::give(&self.0, help);
    }

    /// Starts queued jobs that could run but for which no thread could be created before.
    pub(super) fn kick(&self) -> std::io::Result<()> {
        let help = self.0.help(&mut lock(&self.0.state));
        Inner::give(&self.0, help)
    }

    /// # Errors
    /// As [`Pool::push`].
    pub(super) fn allow(&self, others: usize) -> std::io::Result<()> {
        let mut state = lock(&self.0.state);
        state.turns.allow(others);
        let help = self.0.help(&mut state);
        drop(state);
        Inner::give(&self.0, help)
    }

    pub(super) fn look<R>(&self, look: impl FnOnce(&mut Turns<J>) -> R) -> R {
        look(&mut lock(&self.0.state).turns)
    }

    /// Ends the threads when they are idle, and drops queued jobs.
    pub(super) fn close(&self) {
        let mut state = lock(&self.0.state);
        state.closed = true;
        let dropped = state.turns.take_queued();
        drop(state);
        self.0.wake.notify_all();
        drop(dropped);
    }
}

/// When jobs that were gathered had better begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outlook {
    /// No slot is left.
    NoSlot,
    /// Nothing else can begin just now.
    NoOther,
}

impl<J: Job> State<J> {
    fn outlook(&self) -> Option<Outlook> {
        if self.gathering > 0 {
            return None;
        }
        if self.turns.is_full() {
            return Some(Outlook::NoSlot);
        }
        (!self.turns.can_start()).then_some(Outlook::NoOther)
    }
}

impl<J: Job> Inner<J> {
    /// With no lock held.
    fn tell(&self, outlook: Option<Outlook>) {
        if let (Some(outlook), Some(listener)) = (outlook, self.listener.get()) {
            listener(outlook);
        }
    }

    /// Decides, with the lock held, what the caller does after releasing it.
    fn help(&self, state: &mut State<J>) -> Help {
        if state.searching || state.closed || (state.calls.is_empty() && !state.turns.can_start()) {
            return Help::None;
        }
        if state.idle > 0 {
            state.searching = true;
            return Help::Wake;
        }
        if state.threads < self.slots {
            state.searching = true;
            state.threads += 1;
            return Help::Make;
        }
        Help::None
    }

    fn give(this: &Arc<Self>, help: Help) -> std::io::Result<()> {
        match help {
            Help::None => Ok(()),
            Help::Wake => {
                this.wake.notify_one();
                Ok(())
            }
            Help::Make => {
                let inner = Arc::clone(this);
                let made = threads::spawn("stent-handler", Some(threads::handler_stack()), move || Self::work(&inner));
                let Err(why) = made else { return Ok(()) };
                let mut state = lock(&this.state);
                state.threads -= 1;
                state.searching = false;
                // Fewer threads are slower, but without any nothing runs.
                if state.threads == 0 { Err(why) } else { Ok(()) }
            }
        }
    }

    fn work(this: &Arc<Self>) {
        HANDLER.set(true);
        let mut state = lock(&this.state);
        // A new thread is searching: its first look at the queue ends that.
        let mut searcher = true;
        loop {
            if searcher {
                state.searching = false;
                searcher = false;
            }
            if state.closed {
                state.threads -= 1;
                return;
            }
            if let Some(call) = state.calls.pop_front() {
                let help = this.help(&mut state);
                drop(state);
                let _fewer_threads = Self::give(this, help);
                call();
                state = lock(&this.state);
                continue;
            }
            let Some(job) = state.turns.next() else {
                state.idle += 1;
                while !state.closed && !state.searching {
                    state = this.wake.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
                }
                state.idle -= 1;
                searcher = state.searching;
                continue;
            };
            let (apart, gathered) = (job.is_apart(), job.is_gathered());
            state.gathering += usize::from(gathered);
            let told = if gathered { None } else { state.outlook() };
            let help = this.help(&mut state);
            drop(state);
            let _fewer_threads = Self::give(this, help);
            this.tell(told);
            let slot = job.run();
            state = lock(&this.state);
            if slot == Slot::Free {
                state.turns.freed(apart);
            }
            if gathered {
                state.gathering -= 1;
                let told = state.outlook();
                drop(state);
                this.tell(told);
                state = lock(&this.state);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    use super::*;

    struct Boxed(Box<dyn FnOnce() -> Slot + Send>);

    impl Job for Boxed {
        fn run(self) -> Slot {
            (self.0)()
        }

        fn is_apart(&self) -> bool {
            false
        }
    }

    fn job(body: impl FnOnce() -> Slot + Send + 'static) -> Boxed {
        Boxed(Box::new(body))
    }

    /// A job that says its number and then waits to be let go.
    fn held(number: usize, said: &Sender<usize>) -> (Boxed, Sender<()>) {
        let (go, wait): (Sender<()>, Receiver<()>) = channel();
        let said = said.clone();
        let body = move || {
            said.send(number).unwrap();
            let _released = wait.recv();
            Slot::Free
        };
        (job(body), go)
    }

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn never_more_than_the_slots_run_and_none_is_forgotten() {
        let pool = Pool::new(4);
        let (running, most, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), channel());
        let jobs = (0..1000)
            .map(|index| {
                let (running, most, done) = (Arc::clone(&running), Arc::clone(&most), done.0.clone());
                job(move || {
                    most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                    if index % 100 == 0 {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                    running.fetch_sub(1, SeqCst);
                    done.send(()).unwrap();
                    Slot::Free
                })
            })
            .collect();
        pool.push(Vec::new(), jobs).unwrap();
        for _ in 0..1000 {
            done.1.recv_timeout(SOON).unwrap();
        }
        assert!(most.load(SeqCst) <= 4);
        pool.close();
    }

    #[test]
    fn jobs_that_block_get_a_thread_each() {
        let pool = Pool::new(8);
        let (said, hear) = channel();
        let (jobs, gates): (Vec<_>, Vec<_>) = (0..8).map(|number| held(number, &said)).unzip();
        pool.push(Vec::new(), jobs).unwrap();
        let mut heard: Vec<usize> = (0..8).map(|_| hear.recv_timeout(SOON).unwrap()).collect();
        heard.sort_unstable();
        assert_eq!(heard, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(pool.look(|turns| turns.counts()), (8, 0));
        drop(gates);
        pool.close();
    }

    #[test]
    fn jobs_start_in_order_and_urgent_ones_first() {
        let pool = Pool::new(1);
        let (said, hear) = channel();
        let (first, gate) = held(0, &said);
        pool.push(Vec::new(), vec![first]).unwrap();
        assert_eq!(hear.recv_timeout(SOON).unwrap(), 0);
        let say = |number: usize| {
            let said = said.clone();
            job(move || {
                said.send(number).unwrap();
                Slot::Free
            })
        };
        pool.push(Vec::new(), vec![say(3), say(4)]).unwrap();
        pool.push(vec![say(1), say(2)], vec![say(5)]).unwrap();
        drop(gate);
        let heard: Vec<usize> = (0..5).map(|_| hear.recv_timeout(SOON).unwrap()).collect();
        assert_eq!(heard, [1, 2, 3, 4, 5]);
        pool.close();
    }

    #[test]
    fn a_kept_slot_is_taken_until_it_is_given_back() {
        let pool = Pool::new(1);
        let (said, hear) = channel();
        let say = |number: usize, slot| {
            let said = said.clone();
            job(move || {
                said.send(number).unwrap();
                slot
            })
        };
        pool.push(Vec::new(), vec![say(1, Slot::Kept), say(2, Slot::Free)]).unwrap();
        assert_eq!(hear.recv_timeout(SOON).unwrap(), 1);
        assert!(hear.recv_timeout(Duration::from_millis(50)).is_err());
        assert_eq!(pool.look(|turns| turns.counts()), (1, 1));
        pool.slot_freed(false);
        assert_eq!(hear.recv_timeout(SOON).unwrap(), 2);
        pool.close();
    }

    #[test]
    fn slots_that_are_not_allowed_are_used_when_they_are() {
        let pool = Pool::new(2);
        let (said, hear) = channel();
        pool.allow(1).unwrap();
        let (jobs, gates): (Vec<_>, Vec<_>) = (0..2).map(|number| held(number, &said)).unzip();
        pool.push(Vec::new(), jobs).unwrap();
        assert_eq!(hear.recv_timeout(SOON).unwrap(), 0);
        assert!(hear.recv_timeout(Duration::from_millis(50)).is_err());
        pool.allow(9).unwrap();
        assert_eq!(hear.recv_timeout(SOON).unwrap(), 1);
        drop(gates);
        pool.close();
    }

    #[test]
    fn what_has_not_started_can_be_taken_back() {
        let pool = Pool::new(1);
        let (said, hear) = channel();
        let (first, gate) = held(0, &said);
        let (second, _unused) = held(1, &said);
        pool.push(Vec::new(), vec![first, second]).unwrap();
        assert_eq!(hear.recv_timeout(SOON).unwrap(), 0);
        assert_eq!(pool.look(Turns::take_queued).len(), 1);
        drop(gate);
        assert!(hear.recv_timeout(Duration::from_millis(50)).is_err());
        pool.close();
    }

    #[test]
    fn its_threads_know_what_they_are() {
        assert!(!on_handler_thread());
        let pool = Pool::new(1);
        let (said, hear) = channel();
        pool.push(
            Vec::new(),
            vec![job(move || {
                said.send(on_handler_thread()).unwrap();
                Slot::Free
            })],
        )
        .unwrap();
        assert!(hear.recv_timeout(SOON).unwrap());
        pool.close();
    }
}
