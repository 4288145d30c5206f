//! What every thread of the library is: deaf to the host's signals, announced to a host that wants to know of it, and
//! known as the library's when it panics. In one place, for threads are made in several rooms.

use std::any::Any;
use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{Builder, JoinHandle};

/// Handlers call into deep libraries, but there may be thousands of threads; only touched pages cost memory.
pub const HANDLER_STACK: usize = 1024 * 1024;

/// The host's, called on each thread of the library: before anything else that runs there, and after all of it.
pub struct Hooks {
    pub start: Box<dyn Fn() + Send + Sync>,
    pub stop: Box<dyn Fn() + Send + Sync>,
}

struct Told {
    hooks: Option<Arc<Hooks>>,
    /// A thread has begun: what it was told holds for all.
    begun: bool,
}

/// std Mutex: never held across a call of the host's.
static TOLD: Mutex<Told> = Mutex::new(Told { hooks: None, begun: false });
static STACK: AtomicUsize = AtomicUsize::new(HANDLER_STACK);
/// The signals that the host's own thread blocked, when it first made the library make a thread.
static HOSTS_MASK: OnceLock<libc::sigset_t> = OnceLock::new();

// None of these has a destructor, so they can be asked when a thread's other locals are gone.
thread_local! {
    /// The library made this thread.
    static OWN: Cell<bool> = const { Cell::new(false) };
    /// What runs on it now is the library's code.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

fn told() -> MutexGuard<'static, Told> {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Announces threads from now on; the hooks before.
///
/// # Errors
/// A thread has begun: the hooks come back.
pub fn set_hooks(hooks: Hooks) -> Result<Option<Arc<Hooks>>, Hooks> {
    let mut told = told();
    if told.begun {
        return Err(hooks);
    }
    Ok(told.hooks.replace(Arc::new(hooks)))
}

/// The stack of threads that run handlers, in bytes.
pub fn set_handler_stack(bytes: usize) {
    STACK.store(bytes, Ordering::Relaxed);
}

pub fn handler_stack() -> usize {
    STACK.load(Ordering::Relaxed)
}

/// Makes a thread.
///
/// # Errors
/// The process may have no more of them.
pub fn spawn(name: &str, stack: Option<usize>, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let mut builder = Builder::new().name(name.to_owned());
    if let Some(stack) = stack {
        builder = builder.stack_size(stack);
    }
    deaf(|| builder.spawn(|| announced(body)))
}

fn announced<T>(body: impl FnOnce() -> T) -> T {
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            end();
        }
    }
    begin();
    let _end = End;
    body()
}

struct Carried<'b>(&'b mut dyn FnMut());

// SAFETY: `elsewhere` alone makes one, and its thread waits until the other one has ended.
unsafe impl Send for Carried<'_> {}

impl Carried<'_> {
    fn run(self) {
        (self.0)();
    }
}

/// Runs the body on another thread, while this one waits. Each call of the library may have to, so this is compiled once
/// for all of them.
///
/// # Errors
/// No thread could be made: the body was not called.
pub fn elsewhere(body: &mut dyn FnMut()) -> io::Result<std::thread::Result<()>> {
    let work = Carried(body);
    let builder = Builder::new().name("stent-stand-in".to_owned());
    // SAFETY: what the thread borrows lives until it is joined, which is before this function returns.
    let thread = deaf(|| unsafe { builder.spawn_unchecked(move || announced(move || work.run())) })?;
    Ok(thread.join())
}

/// For threads that others make: what comes first on them.
pub fn begin() {
    adopt();
    let hooks = {
        let mut told = told();
        told.begun = true;
        told.hooks.clone()
    };
    if let Some(hooks) = hooks {
        outside(|| (hooks.start)());
    }
}

/// For a thread on which none of the host's code ever runs, so that the host need not know of it.
pub fn adopt() {
    OWN.set(true);
    INSIDE.set(true);
    block();
}

/// And what comes last.
pub fn end() {
    let hooks = told().hooks.clone();
    if let Some(hooks) = hooks {
        outside(|| (hooks.stop)());
    }
}

struct Inside(bool);

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(self.0);
    }
}

/// Runs code of the library.
pub fn inside<T>(body: impl FnOnce() -> T) -> T {
    let _before = Inside(INSIDE.replace(true));
    body()
}

/// Runs code of the host.
pub fn outside<T>(body: impl FnOnce() -> T) -> T {
    let _before = Inside(INSIDE.replace(false));
    body()
}

/// Is it the library's code that runs on this thread now?
pub fn is_inside() -> bool {
    INSIDE.get()
}

/// A panic's message.
pub fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Runs what makes threads: they begin with all signals blocked, so that there is no moment in which one of the host's
/// could reach them.
pub fn deaf<T>(body: impl FnOnce() -> T) -> T {
    struct Restore(libc::sigset_t);
    impl Drop for Restore {
        fn drop(&mut self) {
            set_mask(&self.0);
        }
    }
    let before = block();
    if !OWN.get() {
        let _the_first_stays = HOSTS_MASK.set(before);
    }
    let _restore = Restore(before);
    body()
}

/// In a child that a handler has forked: signals are as on the host's own threads, for the program that it will run.
pub fn in_child() {
    if OWN.get()
        && let Some(mask) = HOSTS_MASK.get()
    {
        set_mask(mask);
    }
}

/// What tells of a fault in the code that runs belongs to the thread where it runs.
const FAULTS: [libc::c_int; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGSYS];

/// Blocks all signals but those of faults on this thread; the mask before.
fn block() -> libc::sigset_t {
    let mut before = empty();
    let mut all = empty();
    // SAFETY: both sets are this function's, and the numbers are signals.
    unsafe {
        libc::sigfillset(&raw mut all);
        for fault in FAULTS {
            libc::sigdelset(&raw mut all, fault);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, &raw mut before);
    }
    before
}

fn set_mask(mask: &libc::sigset_t) {
    // SAFETY: the set is a mask that this thread, or another one, had before.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, std::ptr::null_mut()) };
}

fn empty() -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: `sigemptyset` makes a set of any memory of its size.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}
