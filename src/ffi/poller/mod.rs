//! Pollers: for hosts with an event loop. Nothing is called back: a descriptor is readable while there are events, and
//! the host takes them when it likes.
//!
//! A WORKER is started with the poller, for functions that were registered without a handler. Each task that it claims
//! comes as a "task" event, and the host runs it as it runs everything else: as a coroutine, a state machine, a promise.
//! No call on such a task blocks. Calls that would (stent_task_call, _map, _sleep, _wait_signal, _await) answer
//! STENT_E_UNSUPPORTED: start the operation with stent_task_spawn_*, and ask by stent_task_notify to be told when it has
//! ended.
//!
//! TURNS. With the "task" event it is the coroutine's turn: durable calls are allowed. When it has nothing left to do
//! before something arrives, it gives its turn back by stent_task_suspend, and ends it for good by stent_task_complete,
//! _fail or _continue. What was asked for then comes as "op" events, one at a time, in the order in which it arrived,
//! and each is a new turn: the next one comes only when this one was given back. So a run after a crash sees everything
//! in the same order. Between turns durable calls answer STENT_SUSPEND, but for stent_task_step_end and
//! stent_task_heartbeat.
//!
//! WAITING. A task whose turn was given back, with nothing there, becomes rows only: it holds no slot and no lease. Its
//! coroutine stays where it is, in the host. When something arrives the worker claims the task again, and the "op"
//! events follow on the same stent_task, under a new fence; nothing is replayed. While a step runs (stent_task_step_begin
//! without its end) the task keeps its slot and its lease, and still gets what arrives. A step is durable when its own
//! "op" event comes.
//!
//! THE END. Every task that was taken over is closed by exactly one event: "ended", the verdict on the end that the host
//! gave it, or "evict", after which the coroutine is to be dropped: another worker took the task over, its execution is
//! over, the worker drains, or more coroutines wait than max_coroutines. What is evicted comes as a new "task" event,
//! here or elsewhere, and is replayed from its record. "cancel" says that a task's work is in vain: the host ends it as
//! it likes (stent_task_fail, or stent_task_free), and its slot is taken until then.
//!
//! A HOST THAT IS GONE. Leases are renewed by the library, and a host whose loop stands still would keep its tasks. So the
//! descriptor becomes readable now and then without an event, and the host answers that as always: it takes, and gets
//! none. A thread that waits in stent_poller_next lives too. A host that does neither for the worker's host_timeout (three
//! leases, if nobody says) counts as dead: the worker claims nothing, and all it held goes to others; a line of the log and
//! "trouble" in the worker's status name the tasks whose turn it was. For these it is a death, as if the process had ended:
//! one that always holds its host up ends as a dead letter ("max_deaths"). Others are charged nothing. With the next take
//! the host lives again, gets "evict" for what it had, and new tasks.
//!
//! FREEING a task that is not ended: on the coroutine's turn, or in a step, it is a failure of type "NoOutcome"; while it
//! waits, the coroutine is forgotten, as by an eviction; while the worker drains or when the poller is gone, the task
//! goes back, and no attempt is charged. After it no event of the task comes any more.
//!
//! FREEING the poller drains its workers. Events that nobody took are dropped, tasks among them go back, and submissions
//! are given up. stent_shutdown waits for running tasks, so a host whose only thread is the event loop drains before it
//! (stent_worker_drain, and then the "worker" event "stopped").

mod event;
pub(in crate::ffi) mod queue;

use std::ffi::c_char;
use std::sync::{Arc, Mutex, PoisonError};

use super::executor::{ExecutorObject, stent_executor};
use super::plumbing::handles::{self, Object, Table};
use super::plumbing::logging::{PROCESS, Taker};
use super::plumbing::{borrow, guard, optional, required, runtime, write};
use super::{stent_error, stent_status};
use crate::codec;
use crate::executor::Worker;
use crate::model::{Error, Status};

pub use event::stent_event;
use queue::{Next, Queue};

/// Events for a host that takes them when it likes. Made by stent_poller_new, freed by stent_poller_free.
pub struct stent_poller {
    _opaque: [u8; 0],
}

pub(super) struct PollerObject {
    queue: Arc<Queue>,
    /// Of the workers that use it.
    drainers: Mutex<Vec<Box<dyn Fn() + Send + Sync>>>,
}

static POLLERS: Table<PollerObject> = Table::new();

impl Object for PollerObject {
    type Opaque = stent_poller;
    const NAME: &'static str = "poller";
    const ORIGIN: &'static str = "stent_poller_new makes one";

    fn table() -> &'static Table<Self> {
        &POLLERS
    }
}

impl PollerObject {
    pub(super) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Makes an event of each line, while the poller lives.
    fn taker(&self) -> Taker {
        let queue = Arc::downgrade(&self.queue);
        Box::new(move |line| queue.upgrade().is_none_or(|queue| queue.push_log(line)))
    }

    pub(super) fn serve(&self, worker: &Worker) {
        let mut drainers = self.drainers.lock().unwrap_or_else(PoisonError::into_inner);
        drainers.push(Box::new(worker.drainer()));
    }
}

/// A handle of it that is still borrowed somewhere keeps the memory, not the poller.
impl Drop for PollerObject {
    fn drop(&mut self) {
        let drainers = self.drainers.get_mut().unwrap_or_else(PoisonError::into_inner);
        drainers.iter().for_each(|drain| drain());
        self.queue.close();
    }
}

/// Makes a poller. `*poller` is the caller's, to be freed by stent_poller_free. Any thread. STENT_E_BACKEND: the process
/// has no descriptors left.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_poller_new(
    poller: *mut *mut stent_poller,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        required(poller, "poller")?;
        // Before the first handle, so that forks are noticed.
        runtime::handle()?;
        let made = PollerObject { queue: Arc::new(Queue::new()?), drainers: Mutex::default() };
        let handle = handles::give(made)?;
        // SAFETY: writable, by the header's convention.
        unsafe { write(poller, handle) };
        Ok(())
    })
}

/// A descriptor that is readable while there are events, and now and then to see that the host lives, which takes none
/// then (by stent_poller_take, or stent_poller_next with 0): for poll, epoll, kqueue, libuv, asyncio. It is the poller's:
/// don't write to it and don't close it; an event loop that closes what it watches is given a duplicate (dup). One that
/// reads from it, as Node's sockets do, then takes events until there are none. -1 if the poller is not a live handle.
/// Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_poller_fd(poller: *mut stent_poller) -> i32 {
    guard::value(-1, || handles::peek::<PollerObject>(poller).and_then(|poller| poller.queue.descriptor()))
}

/// Waits for an event, for at most `timeout_ms` (negative: as long as it takes; 0: just looks). `*event` is the
/// caller's, to be freed with stent_event_free. Any thread; several may wait, and each event goes to one of them.
/// STENT_PENDING: none came, or stent_poller_interrupt was called. STENT_E_CLOSED: the poller was freed meanwhile.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_poller_next(
    poller: *mut stent_poller,
    timeout_ms: i64,
    event: *mut *mut stent_event,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        // Not held while it waits, so that freeing the handle ends the wait.
        let queue = Arc::clone(&borrow::<PollerObject>(poller)?.queue);
        required(event, "event")?;
        let message = match queue.next(runtime::limit(timeout_ms)) {
            Next::Message(message) => *message,
            Next::Nothing => return Err(Error::new(Status::Pending, "no event came")),
            Next::Closed => return Err(Error::closed("the poller was freed")),
        };
        let handle = event::give(message)?;
        // SAFETY: writable, by the header's convention.
        unsafe { write(event, handle) };
        Ok(())
    })
}

/// Takes the events that are there, at most `capacity`, without waiting: `events` gets that many handles, `*count` their
/// number, 0 if there are none. Each is to be freed with stent_event_free. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_poller_take(
    poller: *mut stent_poller,
    events: *mut *mut stent_event,
    capacity: usize,
    count: *mut usize,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let poller = borrow::<PollerObject>(poller)?;
        required(count, "count")?;
        if capacity > 0 {
            required(events, "events")?;
        }
        let mut messages = poller.queue.take(capacity)?.into_iter();
        let mut taken = 0;
        while let Some(message) = messages.next() {
            match event::give(message) {
                Ok(handle) => {
                    // SAFETY: `events` has room for `capacity` handles, and no more messages were taken.
                    unsafe { write(events.add(taken), handle) };
                    taken += 1;
                }
                // Without room for one more handle the others wait.
                Err(why) => {
                    poller.queue.put_back(messages.collect());
                    if taken == 0 {
                        return Err(why);
                    }
                    break;
                }
            }
        }
        // SAFETY: writable, by the header's convention.
        unsafe { write(count, taken) };
        Ok(())
    })
}

/// Lets one stent_poller_next return STENT_PENDING at once: the one that waits, or else the next one; the descriptor is
/// readable until then, or until stent_poller_take. Any thread, in a signal handler not.
#[unsafe(no_mangle)]
pub extern "C" fn stent_poller_interrupt(poller: *mut stent_poller) {
    guard::value((), || {
        handles::peek::<PollerObject>(poller)?.queue.interrupt();
        Some(())
    });
}

/// Hands the library's log to the poller from now on, as "log" events, in place of a log handler, or of the poller that
/// had it before. options: {"level": "info"} as for stent_set_log_handler, which with NULL ends it. A host that takes
/// its events too slowly loses lines, and the next line says how many. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_poller_log(
    poller: *mut stent_poller,
    options: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let poller = borrow::<PollerObject>(poller)?;
        // SAFETY: text or NULL, by the header's convention.
        let options = unsafe { optional(options, "options") }?;
        let options = codec::options::log(options)?;
        PROCESS.set_taker(options.level, poller.taker());
        Ok(())
    })
}

/// As stent_poller_log, for what one executor, its workers and their tasks have to say, as by
/// stent_executor_set_log_handler, which with NULL ends it. The log of the process is left as it is. Any thread.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn stent_poller_log_executor(
    poller: *mut stent_poller,
    executor: *mut stent_executor,
    options: *const c_char,
    error: *mut *mut stent_error,
) -> stent_status {
    guard(error, || {
        let poller = borrow::<PollerObject>(poller)?;
        let executor = borrow::<ExecutorObject>(executor)?;
        // SAFETY: text or NULL, by the header's convention.
        let options = unsafe { optional(options, "options") }?;
        let options = codec::options::log(options)?;
        executor.log().set_taker(options.level, poller.taker());
        Ok(())
    })
}

/// Frees the poller. NULL is nothing. Its workers drain, events that nobody took are dropped (tasks among them go back,
/// no attempt charged), what was submitted is given up, and its descriptor is closed. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn stent_poller_free(poller: *mut stent_poller) {
    guard::free::<PollerObject>(poller);
}
