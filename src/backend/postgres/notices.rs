//! Sends hints to other processes by NOTIFY, and receives theirs by LISTEN. Hints are gathered and sent outside the
//! transactions, at most every few milliseconds: NOTIFY takes a lock that all committing transactions of a database
//! share. They may be lost, as all hints.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgListener;
use sqlx::{Acquire as _, Connection as _};
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::options::Dsn;
use super::pool;
use super::silence::in_time;
use crate::backend::Notice;
use crate::backend::sql::listeners::Listeners;
use crate::model::Id;

/// The pause between two messages.
const PAUSE: Duration = Duration::from_millis(5);

/// Ids in one message, which PostgreSQL limits to 8,000 bytes. If there are more, the others are told to query the
/// store.
const IDS_MAX: usize = 100;

/// After this long without a message the server is pinged: otherwise nobody would notice that hints have stopped
/// coming.
const WATCH: Duration = Duration::from_secs(10);

/// The pause after a failure to listen.
const RETRY: Duration = Duration::from_secs(1);

/// The hints since the last message.
#[derive(Default)]
struct Gathered {
    work: bool,
    due: Option<Duration>,
    ended: BTreeSet<Id>,
    cancelling: BTreeSet<Id>,
    lost: BTreeSet<Id>,
    arrived: BTreeSet<Id>,
}

impl Gathered {
    fn add(&mut self, notice: &Notice) {
        match notice {
            Notice::Work { .. } => self.work = true,
            Notice::Due(wait) => self.due = Some(self.due.map_or(*wait, |due| due.min(*wait))),
            Notice::Ended(ids) => self.ended.extend(ids),
            Notice::Cancelling(ids) => self.cancelling.extend(ids),
            Notice::Lost(ids) => self.lost.extend(ids),
            Notice::Arrived(ids) => self.arrived.extend(ids),
            Notice::Foreign => {}
        }
    }

    /// `None`: there are no hints.
    fn into_message(self, sender: &str) -> Option<String> {
        let lists = [('e', &self.ended), ('c', &self.cancelling), ('l', &self.lost), ('a', &self.arrived)];
        let ids: usize = lists.iter().map(|(_, ids)| ids.len()).sum();
        if !self.work && self.due.is_none() && ids == 0 {
            return None;
        }
        let mut message = sender.to_owned();
        if self.work {
            message.push_str(" w");
        }
        if let Some(due) = self.due {
            let _infallible = write!(message, " d{}", due.as_micros());
        }
        if ids > IDS_MAX {
            message.push_str(" f");
        } else {
            for (kind, ids) in lists {
                for id in ids {
                    let _infallible = write!(message, " {kind}{}", id.simple());
                }
            }
        }
        Some(message)
    }
}

/// Reads a message of another process. Parts that are not understood become [`Notice::Foreign`].
fn read(message: &str, sender: &str) -> Vec<Notice> {
    let mut words = message.split(' ');
    if words.next() == Some(sender) {
        return Vec::new();
    }
    let (mut ended, mut cancelling, mut lost, mut arrived) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut notices = Vec::new();
    for word in words {
        let (kind, rest) = word.split_at_checked(1).unwrap_or(("f", ""));
        let list = match kind {
            "e" => &mut ended,
            "c" => &mut cancelling,
            "l" => &mut lost,
            "a" => &mut arrived,
            "w" => {
                notices.push(Notice::Work { served: None });
                continue;
            }
            "d" => {
                notices.extend(rest.parse().map(|micros| Notice::Due(Duration::from_micros(micros))));
                continue;
            }
            _ => {
                notices.push(Notice::Foreign);
                continue;
            }
        };
        list.extend(Id::try_parse(rest));
    }
    type Made = fn(Vec<Id>) -> Notice;
    let lists: [(Vec<Id>, Made); 4] =
        [(arrived, Notice::Arrived), (ended, Notice::Ended), (cancelling, Notice::Cancelling), (lost, Notice::Lost)];
    notices.extend(lists.into_iter().filter(|(ids, _)| !ids.is_empty()).map(|(ids, made)| made(ids)));
    notices
}

/// Sends hints to this process at once, and to others soon.
pub(super) struct Notices {
    local: Listeners,
    gathered: Arc<Mutex<Gathered>>,
    wake: Arc<Notify>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    across: bool,
    /// What others say is heard just now.
    hears: Arc<AtomicBool>,
}

impl Notices {
    pub fn start(dsn: &Dsn) -> Self {
        let local = Listeners::default();
        let gathered = Arc::<Mutex<Gathered>>::default();
        let wake = Arc::new(Notify::new());
        let hears = Arc::<AtomicBool>::default();
        let mut tasks = Vec::new();
        if dsn.notify {
            let sender = format!("{:016x}", rand::random::<u64>());
            let mouth = Mouth { channel: channel(&dsn.schema), sender, gathered: gathered.clone(), wake: wake.clone() };
            tasks.push(tokio::spawn(talk(dsn.clone(), mouth, local.clone(), hears.clone()).boxed()));
        }
        Self { local, gathered, wake, tasks: Mutex::new(tasks), across: dsn.notify, hears }
    }

    pub fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.local.subscribe()
    }

    /// Grows with every hint, own or from other processes.
    pub fn heard(&self) -> u64 {
        self.local.heard()
    }

    /// Is what others do told here as they do it?
    pub fn hears(&self) -> bool {
        self.hears.load(SeqCst)
    }

    pub fn tell(&self, notices: Vec<Notice>) {
        if notices.is_empty() {
            return;
        }
        if self.across {
            let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
            notices.iter().for_each(|notice| gathered.add(notice));
            drop(gathered);
            self.wake.notify_one();
        }
        self.local.tell(notices);
    }

    pub fn stop(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.drain(..).for_each(|task| task.abort());
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The channel's name. Each schema has its own, because channels belong to the whole database.
fn channel(schema: &str) -> String {
    let hash = Sha256::digest(schema.as_bytes());
    hash[..8].iter().fold("stent_".to_owned(), |mut name, byte| {
        let _infallible = write!(name, "{byte:02x}");
        name
    })
}

/// What is to be sent to other processes.
struct Mouth {
    channel: String,
    sender: String,
    gathered: Arc<Mutex<Gathered>>,
    wake: Arc<Notify>,
}

impl Mouth {
    /// Sends the hints since the last message.
    async fn say(&self, listener: &mut PgListener) -> sqlx::Result<()> {
        let news = std::mem::take(&mut *self.gathered.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(message) = news.into_message(&self.sender) else { return Ok(()) };
        sqlx::query(include_str!("sql/notify.sql")).bind(&self.channel).bind(message).execute(listener).await.map(drop)
    }
}

/// On a connection of its own, for as long as the backend is open. What was said while there was none is not known:
/// after each new one everybody looks for himself.
async fn talk(dsn: Dsn, mouth: Mouth, ears: Listeners, hears: Arc<AtomicBool>) {
    let limit = dsn.limits().short;
    let watch = WATCH.min(dsn.connect_timeout.max(limit));
    let mut first = true;
    loop {
        // With several servers another one may be the writable one by now.
        let found = dsn.hosts.find(dsn.connect_timeout).await;
        let single = pool::single(&dsn, found.ok().flatten().unwrap_or_else(|| dsn.connection.clone()));
        if let Ok(mut listener) = PgListener::connect_with(&single).await {
            listener.eager_reconnect(false);
            if in_time(limit, listener.listen(&mouth.channel)).await.is_ok() {
                if !first {
                    ears.tell([Notice::Foreign]);
                }
                first = false;
                hears.store(true, SeqCst);
                converse(&mut listener, &mouth, &ears, limit, watch).await;
                hears.store(false, SeqCst);
            }
            bury(listener);
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Drops a listener without talking to the server. Its own drop starts a task that says goodbye, which on a dead
/// connection would never end. Here that task goes to a runtime that ends before it runs, which closes the socket.
fn bury(listener: PgListener) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
    let inside = runtime.enter();
    drop(listener);
    drop(inside);
    runtime.shutdown_background();
}

/// Sends and receives until the connection is lost or does not answer. A hint that can't be sent is lost.
async fn converse(listener: &mut PgListener, mouth: &Mouth, ears: &Listeners, limit: Duration, watch: Duration) {
    let mut not_before = Instant::now();
    let mut news = false;
    loop {
        let pause = async {
            if news {
                tokio::time::sleep_until(not_before).await;
            } else {
                mouth.wake.notified().await;
            }
        };
        tokio::select! {
            heard = listener.try_recv() => match heard {
                Ok(Some(message)) => ears.tell(read(message.payload(), &mouth.sender)),
                Ok(None) | Err(_) => return,
            },
            () = tokio::time::sleep(watch) => {
                let asked = async { listener.acquire().await?.ping().await };
                if in_time(limit, asked).await.is_err() {
                    return;
                }
            }
            () = pause => {
                news = !news;
                if !news {
                    if in_time(limit, mouth.say(listener)).await.is_err() {
                        return;
                    }
                    not_before = Instant::now() + PAUSE;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard_by_others_only() {
        let ids: Vec<Id> = (1..4).map(Id::from_u128).collect();
        let said = [
            Notice::Work { served: Some("w".to_owned()) },
            Notice::Due(Duration::from_micros(7)),
            Notice::Arrived(vec![ids[0]]),
            Notice::Ended(vec![ids[1]]),
            Notice::Lost(vec![ids[2]]),
        ];
        let mut gathered = Gathered::default();
        said.iter().for_each(|notice| gathered.add(notice));
        let message = gathered.into_message("me").unwrap();
        assert_eq!(read(&message, "me"), []);
        let mut heard = said.to_vec();
        heard[0] = Notice::Work { served: None };
        assert_eq!(read(&message, "you"), heard);
        assert_eq!(Gathered::default().into_message("me"), None);
    }

    #[test]
    fn too_much_is_a_word() {
        let mut gathered = Gathered::default();
        gathered.add(&Notice::Ended((0..2_000).map(Id::from_u128).collect()));
        assert_eq!(gathered.into_message("me").unwrap(), "me f");
        assert_eq!(read("me f ?", "you"), [Notice::Foreign, Notice::Foreign]);
    }
}
