//! Timers for running tasks: the deadline of an attempt, and flushing what a handler has reported.

use std::collections::BTreeMap;
use std::sync::{Mutex, Weak};
use std::time::Instant;

use tokio::sync::Notify;

use crate::executor::sync::lock;
use crate::executor::task::{Alarm, AlarmKey, TaskCore};

#[derive(Default)]
pub(super) struct Alarms {
    set: Mutex<Set>,
    bell: Notify,
}

#[derive(Default)]
struct Set {
    alarms: BTreeMap<AlarmKey, (Alarm, Weak<TaskCore>)>,
    last: u64,
}

impl Alarms {
    pub(super) fn set(&self, at: Instant, alarm: Alarm, task: Weak<TaskCore>) -> AlarmKey {
        let mut set = lock(&self.set);
        set.last += 1;
        let key = (at, set.last);
        set.alarms.insert(key, (alarm, task));
        let earliest = set.alarms.first_key_value().is_some_and(|(first, _)| *first == key);
        drop(set);
        if earliest {
            self.bell.notify_one();
        }
        key
    }

    pub(super) fn clear(&self, key: AlarmKey) {
        lock(&self.set).alarms.remove(&key);
    }

    /// Takes the alarms that are due. Returns them, and when the next one is.
    fn due(&self, now: Instant) -> (Vec<(Alarm, Weak<TaskCore>)>, Option<Instant>) {
        let mut set = lock(&self.set);
        let mut due = Vec::new();
        while let Some(first) = set.alarms.first_entry() {
            if first.key().0 > now {
                return (due, Some(first.key().0));
            }
            due.push(first.remove());
        }
        (due, None)
    }

    /// Fires alarms until it is dropped.
    pub(super) async fn keep(&self) {
        loop {
            let (due, next) = self.due(Instant::now());
            for (alarm, task) in due {
                if let Some(task) = task.upgrade() {
                    task.ring(alarm);
                }
            }
            match next {
                None => self.bell.notified().await,
                Some(at) => {
                    let sleep = tokio::time::sleep_until(at.into());
                    tokio::select! { () = sleep => {}, () = self.bell.notified() => {} }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn alarms_are_due_in_order_and_can_be_cleared() {
        let alarms = Alarms::default();
        let now = Instant::now();
        let at = |millis| now + Duration::from_millis(millis);
        alarms.set(at(30), Alarm::Flush, Weak::new());
        let cleared = alarms.set(at(10), Alarm::Flush, Weak::new());
        alarms.set(at(10), Alarm::Deadline, Weak::new());
        alarms.clear(cleared);
        let (due, next) = alarms.due(at(20));
        assert_eq!(due.iter().map(|(alarm, _)| *alarm).collect::<Vec<_>>(), [Alarm::Deadline]);
        assert_eq!(next, Some(at(30)));
        assert_eq!(alarms.due(at(30)).1, None);
    }
}
