//! A live view of a store: how much goes on, how fast, what waits, what runs, what fails. It looks again and again, and
//! changes nothing.
//!
//! | module | what it knows |
//! |---|---|
//! | `look` | asks the store for all that is shown |
//! | `sample` | rates and latencies; pure |
//! | `view` | what is chosen, and what a key does; pure |
//! | `draw` | what it looks like |
//! | `terminal` | takes the terminal, and gives it back |

mod draw;
mod look;
pub mod sample;
mod terminal;
mod view;

use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use stent::model::masked;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;

use self::look::Looks;
use self::terminal::{Key, Taken};
use self::view::{Todo, View};
use crate::args;
use crate::place::Place;
use crate::screen::Screen;
use crate::trouble::{DONE, Trouble};

/// Far away.
const NEVER: Duration = Duration::from_secs(1 << 30);

/// What came before the next look.
enum Next {
    Look,
    Pressed(Option<Key>),
    Ended,
}

pub async fn watch(place: &Place, db: &str, watch: args::Watch, screen: &Screen) -> Result<u8, Trouble> {
    if screen.is_json() || !std::io::stdin().is_terminal() || !screen.is_terminal() {
        return Err(Trouble::usage("watch shows a live view, for which there must be a terminal")
            .hint("for files and programs: stent --json stats"));
    }
    let failed = |why: std::io::Error| Trouble::failed(format!("the terminal: {why}"));
    let kinds = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()];
    let mut signals = kinds.into_iter().map(signal).collect::<Result<Vec<Signal>, _>>().map_err(failed)?;
    let mut view = View::new(&masked(db), screen.has_colours());
    let mut taken = Taken::take().map_err(failed)?;
    let mut keys = terminal::keys();
    let mut typed = VecDeque::new();
    let mut looks = Looks::default();
    let mut next = Instant::now();
    loop {
        taken.0.draw(|frame| draw::draw(frame, &view)).map_err(failed)?;
        let at = if view.is_paused() { next + NEVER } else { next };
        let came = match typed.pop_front() {
            Some(key) => Next::Pressed(Some(key)),
            None => tokio::select! {
                key = keys.recv() => Next::Pressed(key),
                () = ended(&mut signals) => Next::Ended,
                () = tokio::time::sleep_until(at.into()) => Next::Look,
            },
        };
        let todo = match came {
            Next::Ended => Todo::Quit,
            Next::Look => Todo::Look,
            Next::Pressed(key) => key.map_or(Todo::Quit, |key| view.press(key)),
        };
        match todo {
            Todo::Quit => return Ok(DONE),
            Todo::Nothing => {}
            Todo::Look => {
                // A store that does not answer keeps nobody here.
                let seen = tokio::select! {
                    seen = looks.look(place, view.wanted()) => seen,
                    () = quit(&mut keys, &mut typed) => return Ok(DONE),
                    () = ended(&mut signals) => return Ok(DONE),
                };
                view.take(seen.map_err(|why| why.message().to_owned()));
                next = Instant::now() + watch.every;
            }
        }
    }
}

/// One of the signals that end a program has come.
async fn ended(signals: &mut [Signal]) {
    let all = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
    futures_util::future::select_all(all).await;
}

/// Keys that are typed meanwhile are for later, but for this one.
async fn quit(keys: &mut UnboundedReceiver<Key>, typed: &mut VecDeque<Key>) {
    while let Some(key) = keys.recv().await {
        if key == Key::Quit {
            return;
        }
        typed.push_back(key);
    }
}
