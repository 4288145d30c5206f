//! Pauses queues and functions, waits until they are drained, and lets them go on.

use std::time::{Duration, Instant};

use serde::Serialize;
use stent::backend::{NewPause, Pausable, Pause};
use stent::model::{Error, Status};

use crate::args::Hold;
use crate::marks;
use crate::place::Place;
use crate::screen::Screen;
use crate::trouble::{DONE, Trouble};
use crate::words::{self, several};

/// Between looks whether something of it still runs.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Serialize)]
struct View {
    /// Null: it is not paused any more.
    paused: Option<Pause>,
}

pub async fn hold(place: &Place, of: fn(String) -> Pausable, hold: Hold, screen: &mut Screen) -> Result<u8, Trouble> {
    match hold {
        Hold::Pause { name, reason } => {
            let pause = begin(place, of(name), reason).await?;
            screen.line(format!("{}.", told(screen, &pause)));
            if pause.running > 0 {
                screen.line(format!("Workers still hold {} of it.", several(pause.running, "task")));
            }
            screen.json(&View { paused: Some(pause) });
        }
        Hold::Resume { name } => {
            let what = of(name);
            place.executor.unpause(what.clone()).await?;
            screen.line(format!("{} is claimed again.", named(&what)));
            screen.json(&View { paused: None });
        }
        Hold::Drain { name, reason, timeout } => {
            let what = of(name);
            begin(place, what.clone(), reason).await?;
            let drained = drained(place, &what, timeout).await?;
            screen.line(format!("{}. Nothing of it runs any more.", told(screen, &drained)));
            screen.json(&View { paused: Some(drained) });
        }
    }
    Ok(DONE)
}

async fn begin(place: &Place, what: Pausable, reason: Option<String>) -> Result<Pause, Trouble> {
    let by = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).filter(|by| !by.is_empty());
    place.executor.pause(NewPause { what: what.clone(), reason, by }).await?;
    find(place, &what).await
}

async fn find(place: &Place, what: &Pausable) -> Result<Pause, Trouble> {
    let found = place.executor.pauses().await?.into_iter().find(|pause| pause.what().as_ref() == Some(what));
    found.ok_or_else(|| Trouble::conflict(format!("{what} was resumed in the meantime")))
}

async fn drained(place: &Place, what: &Pausable, timeout: Option<Duration>) -> Result<Pause, Trouble> {
    let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let pause = find(place, what).await?;
        if pause.running == 0 {
            return Ok(pause);
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            let held = several(pause.running, "task");
            return Err(
                Error::new(Status::Timeout, format!("workers still hold {held} of {what}; it stays paused")).into()
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn named(what: &Pausable) -> String {
    format!("The {} '{}'", what.kind(), words::visible(what.name()))
}

/// Without a full stop.
pub fn told(screen: &Screen, pause: &Pause) -> String {
    let what = pause.what().as_ref().map(named).unwrap_or_default();
    let by = pause.by.as_deref().map(|by| format!(" by {}", words::visible(by))).unwrap_or_default();
    let reason = pause.reason.as_deref().map(|reason| format!(" ({})", words::visible(reason))).unwrap_or_default();
    format!("{what} is paused, since {}{by}{reason}", marks::when(screen, pause.since))
}
