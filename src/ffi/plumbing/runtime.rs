//! The async runtime of the process. The first handle that needs it starts it, and it is never stopped: its threads
//! sleep when there is nothing to do.

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::{fork, threads};
use crate::model::{Error, Result, Status};

/// The stores and the engine wait far more than they compute; handlers run on threads of their own.
const THREADS_DEFAULT_MAX: usize = 4;

static RUNTIME: OnceCell<Runtime> = OnceCell::new();
/// std Mutex: never held across an await.
static THREADS: Mutex<Option<usize>> = Mutex::new(None);

/// How many threads the runtime will have. Too late once it runs.
pub fn set_threads(count: usize) -> Result<()> {
    let mut threads = THREADS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if RUNTIME.get().is_some() {
        return Err(Error::conflict("the library is in use already; call stent_configure before the first handle"));
    }
    *threads = Some(count);
    Ok(())
}

pub fn handle() -> Result<Handle> {
    RUNTIME.get_or_try_init(start).map(|runtime| runtime.handle().clone())
}

fn start() -> Result<Runtime> {
    fork::arm();
    let configured = *THREADS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicUsize::new(0);
    Builder::new_multi_thread()
        .worker_threads(configured.unwrap_or_else(|| cores.min(THREADS_DEFAULT_MAX)))
        .thread_name_fn(move || format!("stent-rt-{}", next.fetch_add(1, Ordering::Relaxed)))
        .on_thread_start(threads::mark_runtime)
        .enable_all()
        .build()
        .map_err(|why| Error::backend(format!("start the runtime's threads: {why}")).retryable(true))
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
    handle()?.block_on(future)
}

/// What a host waits for, as it looks to the host.
pub type Work<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// As [`block_on`], with the work begun and done on a thread of the runtime: connecting goes deep, and some hosts call
/// on small stacks of their own making.
pub fn away<T: Send + 'static>(begin: impl FnOnce() -> Work<T> + Send + 'static) -> Result<T> {
    let work = handle()?.spawn(async move { begin().await });
    joined(work)
}

/// As [`away`], for work that can't change its thread.
pub fn away_in_place<F, T>(begin: impl FnOnce() -> F + Send + 'static) -> Result<T>
where
    F: Future<Output = Result<T>>,
    T: Send + 'static,
{
    let runtime = handle()?;
    let work = runtime.clone().spawn_blocking(move || runtime.block_on(begin()));
    joined(work)
}

fn joined<T>(work: JoinHandle<Result<T>>) -> Result<T> {
    block_on(async move { work.await.unwrap_or_else(|why| std::panic::resume_unwind(why.into_panic())) })
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
