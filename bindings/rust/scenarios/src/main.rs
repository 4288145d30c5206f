//! The scenario worker of bindings/scenarios.md: hosts the functions until it is told to stop.

use std::io::{self, Read as _, Write as _};
use std::{env, mem, process, ptr, thread};

use serde_json::{Value, from_str};
use stent::{Executor, Store};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (url, options) = match arguments.as_slice() {
        [url] => (url, "{}"),
        [url, options] => (url, options.as_str()),
        _ => {
            eprintln!("usage: scenario-worker <store url> [<worker options as a JSON object>]");
            process::exit(2);
        }
    };
    if let Err(why) = host(url, options) {
        eprintln!("scenario-worker: {why}");
        process::exit(1);
    }
}

fn host(url: &str, options: &str) -> Result<(), Box<dyn std::error::Error>> {
    let stop = block_sigterm();
    let store = Store::open(url)?;
    let executor = Executor::new(&store)?;
    scenarios::register(&executor)?;
    let worker = executor.start_worker_as(&from_str::<Value>(options)?)?;
    worker.wait("ready", None)?;
    say("ready")?;
    // The end of the standard input counts as SIGTERM.
    thread::spawn(|| {
        drop(io::stdin().read_to_end(&mut Vec::new()));
        // SAFETY: a signal to this process.
        unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
    });
    let mut signal = 0;
    // SAFETY: the set and the number live for the call.
    unsafe { libc::sigwait(&stop, &mut signal) };
    worker.drain()?;
    say("draining")?;
    worker.wait("stopped", None)?;
    stent::shutdown(None)?;
    say("stopped")?;
    Ok(())
}

/// Before there is another thread, so that only sigwait takes it.
fn block_sigterm() -> libc::sigset_t {
    // SAFETY: a set of signals is numbers, which these functions fill.
    unsafe {
        let mut stop = mem::zeroed();
        libc::sigemptyset(&mut stop);
        libc::sigaddset(&mut stop, libc::SIGTERM);
        libc::pthread_sigmask(libc::SIG_BLOCK, &stop, ptr::null_mut());
        stop
    }
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
