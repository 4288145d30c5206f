//! The async runtime of the process. The first handle that needs it starts it, and it is never stopped: its threads
//! sleep when there is nothing to do.

use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::FutureExt as _;
use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use super::{fork, threads, tracing};
use crate::model::{ConfigureOptions, Error, Result, Status};
use crate::threads as own;

/// The stores and the engine wait far more than they compute; handlers run on threads of their own.
const THREADS_DEFAULT_MAX: usize = 4;

static RUNTIME: OnceCell<Runtime> = OnceCell::new();
/// std Mutex: never held across an await.
static THREADS: Mutex<Option<usize>> = Mutex::new(None);

/// How many threads the runtime will have, how large the stacks of handlers are, where spans go. Too late once it runs.
pub fn configure(options: ConfigureOptions) -> Result<()> {
    let mut current = lock(&THREADS);
    if RUNTIME.get().is_some() {
        return if options == ConfigureOptions::default() { Ok(()) } else { Err(too_late("stent_configure")) };
    }
    *current = options.runtime_threads.or(*current);
    options.handler_stack_size.into_iter().for_each(own::set_handler_stack);
    options.otlp_endpoint.into_iter().for_each(tracing::set_endpoint);
    Ok(())
}

pub fn too_late(function: &str) -> Error {
    Error::conflict(format!("the library is in use already; call {function} before the first handle"))
}

pub fn handle() -> Result<Handle> {
    RUNTIME.get_or_try_init(start).map(|runtime| runtime.handle().clone())
}

fn start() -> Result<Runtime> {
    fork::arm();
    let configured = *lock(&THREADS);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicUsize::new(0);
    let gate = Arc::new(Gate::default());
    let waits = Arc::clone(&gate);
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(configured.unwrap_or_else(|| cores.min(THREADS_DEFAULT_MAX)))
        .thread_name_fn(move || format!("stent-rt-{}", next.fetch_add(1, Ordering::Relaxed)))
        .on_thread_start(move || {
            if !waits.is_passed() {
                resume_unwind(Box::new("the runtime did not start"));
            }
            own::begin();
            threads::mark_runtime();
        })
        .on_thread_stop(own::end)
        .enable_all();
    *lock(&BUILDING) = Some(Arc::clone(&gate));
    IS_BUILDING.set(true);
    let built = own::deaf(|| catch_unwind(AssertUnwindSafe(|| builder.build())));
    IS_BUILDING.set(false);
    *lock(&BUILDING) = None;
    gate.open(matches!(built, Ok(Ok(_))));
    let told = |why: String| Error::backend(format!("start the runtime's threads: {why}")).retryable(true);
    match built {
        Ok(built) => built.map_err(|why| told(why.to_string())),
        Err(panic) => Err(told(own::said(panic.as_ref()).to_owned())),
    }
}

/// Tokio panics when one of its threads can't be made, and then waits for those that it has, which nobody has told to
/// end. So none of them goes to work before all are there; and when they are not, they end.
#[derive(Default)]
struct Gate {
    passes: Mutex<Option<bool>>,
    bell: Condvar,
}

impl Gate {
    /// What is said first stands.
    fn open(&self, passes: bool) {
        lock(&self.passes).get_or_insert(passes);
        self.bell.notify_all();
    }

    fn is_passed(&self) -> bool {
        let mut passes = lock(&self.passes);
        loop {
            if let Some(passes) = *passes {
                return passes;
            }
            passes = self.bell.wait(passes).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The one that is being built.
static BUILDING: Mutex<Option<Arc<Gate>>> = Mutex::new(None);

thread_local! {
    static IS_BUILDING: Cell<bool> = const { Cell::new(false) };
}

/// A panic has begun on this thread: was the runtime being built on it? Called before anything waits for its threads.
pub fn building_failed() -> bool {
    if !IS_BUILDING.get() {
        return false;
    }
    if let Some(gate) = lock(&BUILDING).as_ref() {
        gate.open(false);
    }
    true
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits on the calling thread, which may be the host's or a handler's.
pub fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    if threads::current() == threads::Kind::Runtime || within_another_runtime() {
        return Err(Error::new(
            Status::WrongThread,
            "a call that waits was made on a thread of an async runtime, which it would block; call it from a thread \
             that may block",
        ));
    }
    drive(&handle()?, future)
}

/// Not tokio's own `block_on`, which keeps a thread-local that a thread at its end may not have any more.
fn drive<T>(runtime: &Handle, future: impl Future<Output = T>) -> T {
    let _entered = runtime.enter();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        bell.wait();
    }
}

/// Wakes the thread that waits.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    fn wait(&self) {
        let mut rung = lock(&self.rung);
        while !std::mem::take(&mut *rung) {
            rung = self.heard.wait(rung).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *lock(&self.rung) = true;
        self.heard.notify_one();
    }
}

/// What a host waits for, as it looks to the host.
pub type Work<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// As [`block_on`], with the work begun and done on a thread of the runtime: connecting goes deep, and some hosts call
/// on small stacks of their own making.
pub fn away<T: Send + 'static>(begin: impl FnOnce() -> Work<T> + Send + 'static) -> Result<T> {
    let work = handle()?.spawn(async move { begin().await }.boxed());
    block_on(async move { work.await.unwrap_or_else(|why| resume_unwind(why.into_panic())) })
}

/// As [`away`], for work that can't change its thread.
pub fn away_in_place<F, T>(begin: impl FnOnce() -> F + Send + 'static) -> Result<T>
where
    F: Future<Output = Result<T>>,
    T: Send + 'static,
{
    let runtime = handle()?;
    let (done, outcome) = oneshot::channel();
    own::spawn("stent-work", None, move || {
        threads::mark_runtime();
        // Whoever asked waits, so there is somebody to tell.
        let _told = done.send(catch_unwind(AssertUnwindSafe(|| drive(&runtime, begin()))));
    })
    .map_err(|why| Error::backend(format!("start a thread for it: {why}")).retryable(true))?;
    block_on(async move {
        match outcome.await {
            Ok(outcome) => outcome.unwrap_or_else(|panic| resume_unwind(panic)),
            Err(_) => Err(Error::backend("its thread has ended without an answer")),
        }
    })
}

/// A Rust host that links the library into itself may call from inside its own runtime.
fn within_another_runtime() -> bool {
    let Ok(current) = Handle::try_current() else { return false };
    RUNTIME.get().is_none_or(|ours| ours.handle().id() != current.id())
}

/// What C says for "how long": negative is for ever.
pub fn limit(timeout_ms: i64) -> Option<Duration> {
    u64::try_from(timeout_ms).ok().map(Duration::from_millis)
}
