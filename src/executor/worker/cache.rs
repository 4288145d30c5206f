//! Journals of suspended tasks, kept for a resume on the same worker: it then loads only what is new. Bounded by
//! number and by weight; the one that was kept first goes first.

use std::collections::{HashMap, VecDeque};

use crate::model::Id;

/// Tasks kept at most: each costs a map entry even if its journal is short.
const TASKS_MAX: usize = 1_000;

/// Journal entries kept at most, over all tasks: each holds payloads.
const ENTRIES_MAX: usize = 100_000;

pub(super) struct Cache<V> {
    kept: HashMap<Id, Kept<V>>,
    /// In order of keeping; stale where the stamp is another by now.
    order: VecDeque<(Id, u64)>,
    stamp: u64,
    weight: usize,
}

struct Kept<V> {
    value: V,
    weight: usize,
    stamp: u64,
}

impl<V> Cache<V> {
    pub(super) fn new() -> Self {
        Self { kept: HashMap::new(), order: VecDeque::new(), stamp: 0, weight: 0 }
    }

    /// Keeps a value that weighs as many journal entries; what is too heavy alone is not kept.
    pub(super) fn put(&mut self, id: Id, weight: usize, value: V) {
        self.take(id);
        if weight > ENTRIES_MAX {
            return;
        }
        self.stamp += 1;
        self.weight += weight;
        self.kept.insert(id, Kept { value, weight, stamp: self.stamp });
        self.order.push_back((id, self.stamp));
        while self.weight > ENTRIES_MAX || self.kept.len() > TASKS_MAX {
            self.drop_first();
        }
        // What was taken out leaves its place in the order behind.
        if self.order.len() > 2 * TASKS_MAX {
            let kept = &self.kept;
            self.order.retain(|(id, stamp)| kept.get(id).is_some_and(|entry| entry.stamp == *stamp));
        }
    }

    pub(super) fn take(&mut self, id: Id) -> Option<V> {
        let entry = self.kept.remove(&id)?;
        self.weight -= entry.weight;
        Some(entry.value)
    }

    fn drop_first(&mut self) {
        let Some((id, stamp)) = self.order.pop_front() else { return };
        if self.kept.get(&id).is_some_and(|entry| entry.stamp == stamp) {
            self.take(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> Id {
        Id::from_u128(number as u128)
    }

    #[test]
    fn what_was_put_is_there_once() {
        let mut cache = Cache::new();
        cache.put(id(1), 5, "a");
        cache.put(id(1), 7, "b");
        assert_eq!(cache.weight, 7);
        assert_eq!(cache.take(id(1)), Some("b"));
        assert_eq!(cache.take(id(1)), None);
        assert_eq!(cache.weight, 0);
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let mut cache = Cache::new();
        for number in 0..=TASKS_MAX {
            cache.put(id(number), 1, number);
        }
        assert_eq!(cache.take(id(0)), None);
        assert_eq!(cache.take(id(1)), Some(1));
        assert_eq!(cache.take(id(TASKS_MAX)), Some(TASKS_MAX));
    }

    #[test]
    fn the_oldest_goes_when_they_are_too_heavy() {
        let mut cache = Cache::new();
        cache.put(id(1), ENTRIES_MAX / 2, 1);
        cache.put(id(2), ENTRIES_MAX / 2, 2);
        cache.put(id(3), 1, 3);
        assert_eq!((cache.take(id(1)), cache.take(id(2)), cache.take(id(3))), (None, Some(2), Some(3)));
        cache.put(id(4), ENTRIES_MAX + 1, 4);
        assert_eq!(cache.take(id(4)), None);
    }

    #[test]
    fn the_order_does_not_grow_with_use() {
        let mut cache = Cache::new();
        for number in 0..10 * TASKS_MAX {
            cache.put(id(number % 7), 1, number);
            cache.take(id(number % 7));
        }
        assert!(cache.order.len() <= 2 * TASKS_MAX);
    }
}
