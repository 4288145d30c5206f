//! A thread's locals are gone before the thread is: destructors of C++ and of pthread keys, and what `atexit` registers,
//! run after ours, and may call the library.

use tokio::runtime::Handle;

struct Locals {
    /// False: it came too late.
    alive: bool,
}

/// Its one use is that the thread's end forgets it.
impl Drop for Locals {
    fn drop(&mut self) {
        self.alive = false;
    }
}

thread_local! {
    static LOCALS: Locals = touched();
}

/// Locals go in the order opposite to their making. Those of others that calls need on the caller's thread are made
/// before ours: while ours is there, they are.
fn touched() -> Locals {
    let alive = !Handle::try_current().is_err_and(|why| why.is_thread_local_destroyed());
    if alive {
        let _seeded: u8 = rand::random();
    }
    Locals { alive }
}

/// Is this thread still one on which any code can run?
pub fn are_alive() -> bool {
    LOCALS.try_with(|locals| locals.alive).unwrap_or(false)
}
