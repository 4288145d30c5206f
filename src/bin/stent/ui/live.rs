//! The stream of events: what of a page has changed, drawn anew. The store is looked at when it hints at a change, and
//! otherwise after a while; never for more than a tenth of the time, and not at all once nobody listens.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::Serialize;
use stent::backend::Notice;
use stent::codec;
use stent::model::Id;
use tokio::sync::{OwnedSemaphorePermit, broadcast};

use super::app::App;
use super::page::Page;
use super::read::{self, Row, Timeline, digest};
use super::refusal::Refusal;
use super::view::{self, Ctx};

/// Between two looks, at least, and at most.
const SOON: Duration = Duration::from_millis(400);
const LATER: Duration = Duration::from_secs(2);
const PART: u32 = 10;

/// A connection that is quiet for so long is thought dead by what stands between.
const QUIET: Duration = Duration::from_secs(15);

struct Stream_ {
    app: Arc<App>,
    page: Page,
    _place: OwnedSemaphorePermit,
    notices: broadcast::Receiver<Notice>,
    /// What was sent of each region.
    regions: HashMap<&'static str, u64>,
    tasks: Option<Tasks>,
    /// To be sent.
    events: VecDeque<Event>,
    trouble: Option<String>,
    /// When the last look began, and how long it took.
    last: Option<(Instant, Duration)>,
}

/// What was sent of a timeline.
struct Tasks {
    execution: Id,
    /// What the page has read by itself.
    digest: Option<String>,
    rows: HashMap<Id, u64>,
}

/// `seen`: the digest of the timeline that the page has.
pub fn stream(
    app: Arc<App>,
    page: Page,
    seen: Option<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let place = Arc::clone(&app.viewers)
        .try_acquire_owned()
        .map_err(|_| Refusal::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "Too many pages are open at once."))?;
    let tasks = match &page {
        Page::Execution(id) => Some(Tasks { execution: *id, digest: seen, rows: HashMap::new() }),
        _ => None,
    };
    let notices = app.backend.notices();
    let state = Stream_ {
        app,
        page,
        _place: place,
        notices,
        regions: HashMap::new(),
        tasks,
        events: VecDeque::new(),
        trouble: None,
        last: None,
    };
    let events = unfold(state, |mut state| async move {
        let event = state.next().await;
        Some((Ok(event), state))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(QUIET)))
}

impl Stream_ {
    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.wait().await;
            let begun = Instant::now();
            match self.look().await {
                Ok(()) if self.trouble.take().is_some() => {
                    self.events.push_back(Event::default().event("well").data(""))
                }
                Ok(()) => {}
                Err(why) => self.tell(why.message),
            }
            self.last = Some((begun, begun.elapsed()));
        }
    }

    /// The same trouble is told once.
    fn tell(&mut self, trouble: String) {
        if self.trouble.as_ref() != Some(&trouble) {
            self.events.push_back(Event::default().event("trouble").data(trouble.replace(['\r', '\n'], " ")));
            self.trouble = Some(trouble);
        }
    }

    async fn wait(&mut self) {
        let Some((begun, took)) = self.last else { return };
        tokio::time::sleep_until((begun + SOON.max(took * PART)).into()).await;
        // What was hinted at before the look has been seen by it.
        let hinted = !self.notices.is_empty();
        self.notices = self.notices.resubscribe();
        if !hinted {
            let later = (begun + LATER.max(took * PART)).into();
            // A hint, or that some were missed.
            let _either = tokio::time::timeout_at(later, self.notices.recv()).await;
        }
    }

    async fn look(&mut self) -> Result<(), Refusal> {
        #[derive(Serialize)]
        struct Region<'a> {
            id: String,
            html: &'a str,
        }
        let model = read::read(&self.app, &self.page).await?;
        let shown = view::show(&Ctx::new(&self.app, self.page.link()), &model);
        for (name, region) in &shown.regions {
            let drawn = digest(&region.0);
            if self.regions.insert(name, drawn) != Some(drawn) {
                let data = codec::to_json(&Region { id: format!("r-{name}"), html: &region.0 });
                self.events.push_back(Event::default().event("region").data(data));
            }
        }
        if let Some(tasks) = &mut self.tasks {
            let timeline = Timeline::read(&self.app, tasks.execution).await?;
            self.events.extend(tasks.changes(timeline));
        }
        Ok(())
    }
}

impl Tasks {
    fn changes(&mut self, timeline: Timeline) -> Option<Event> {
        #[derive(Serialize)]
        struct View<'a> {
            now: i64,
            live: bool,
            /// These are all rows; else those that have changed.
            full: bool,
            rows: Vec<&'a Row>,
        }
        let Timeline { now, live, rows, digest: all, .. } = timeline;
        let is_first = self.rows.is_empty();
        let known = is_first && self.digest.take() == Some(all);
        let mut changed = Vec::new();
        for row in &rows {
            let is = digest(row);
            if self.rows.insert(row.id, is) != Some(is) {
                changed.push(row);
            }
        }
        // A task that starts over leaves its rows behind.
        let full = (is_first && !known) || self.rows.len() > rows.len();
        if full {
            self.rows = rows.iter().map(|row| (row.id, digest(row))).collect();
            changed = rows.iter().collect();
        }
        if known || (changed.is_empty() && !full) {
            return None;
        }
        Some(Event::default().event("tasks").data(codec::to_json(&View { now, live, full, rows: changed })))
    }
}
