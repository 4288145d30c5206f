//! What is kept of suspended tasks in case they resume on the same worker (their journals, for example), which then
//! loads only what is new. Bounded by count and weight; the oldest entry is evicted first.

use std::collections::{HashMap, VecDeque};

use crate::model::Id;

/// Journals at most: even a short one costs a map entry.
pub(super) const TASKS_MAX: usize = 1_000;

/// Journal entries at most, over all tasks: each holds payloads.
pub(super) const ENTRIES_MAX: usize = 100_000;

pub(super) struct Cache<V> {
    /// The maximum count and total weight.
    most: usize,
    heaviest: usize,
    kept: HashMap<Id, Kept<V>>,
    /// In the order of insertion. An entry whose stamp is not the value's has been replaced.
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
    pub(super) fn new(most: usize, heaviest: usize) -> Self {
        Self { most, heaviest, kept: HashMap::new(), order: VecDeque::new(), stamp: 0, weight: 0 }
    }

    /// Keeps a value of this weight (its number of journal entries), unless it alone is too heavy. Returns the values
    /// that had to go.
    pub(super) fn put(&mut self, id: Id, weight: usize, value: V) -> Vec<V> {
        let mut out: Vec<V> = self.take(id).into_iter().collect();
        if weight > self.heaviest {
            out.push(value);
            return out;
        }
        self.stamp += 1;
        self.weight += weight;
        self.kept.insert(id, Kept { value, weight, stamp: self.stamp });
        self.order.push_back((id, self.stamp));
        while self.weight > self.heaviest || self.kept.len() > self.most {
            out.extend(self.take_first());
        }
        // Values that were taken leave their entries in `order` behind.
        if self.order.len() > 2 * self.most {
            let kept = &self.kept;
            self.order.retain(|(id, stamp)| kept.get(id).is_some_and(|entry| entry.stamp == *stamp));
        }
        out
    }

    pub(super) fn get(&self, id: Id) -> Option<&V> {
        self.kept.get(&id).map(|kept| &kept.value)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.kept.values().map(|kept| &kept.value)
    }

    pub(super) fn take_those(&mut self, which: impl Fn(&V) -> bool) -> Vec<V> {
        let ids: Vec<Id> = self.kept.iter().filter(|(_, kept)| which(&kept.value)).map(|(id, _)| *id).collect();
        ids.into_iter().filter_map(|id| self.take(id)).collect()
    }

    pub(super) fn take_all(&mut self) -> Vec<V> {
        self.order.clear();
        self.weight = 0;
        self.kept.drain().map(|(_, kept)| kept.value).collect()
    }

    pub(super) fn take(&mut self, id: Id) -> Option<V> {
        let entry = self.kept.remove(&id)?;
        self.weight -= entry.weight;
        Some(entry.value)
    }

    fn take_first(&mut self) -> Option<V> {
        let (id, stamp) = self.order.pop_front()?;
        if self.kept.get(&id).is_some_and(|entry| entry.stamp == stamp) { self.take(id) } else { None }
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
        let mut cache = Cache::new(TASKS_MAX, ENTRIES_MAX);
        cache.put(id(1), 5, "a");
        cache.put(id(1), 7, "b");
        assert_eq!(cache.weight, 7);
        assert_eq!(cache.take(id(1)), Some("b"));
        assert_eq!(cache.take(id(1)), None);
        assert_eq!(cache.weight, 0);
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let mut cache = Cache::new(TASKS_MAX, ENTRIES_MAX);
        for number in 0..=TASKS_MAX {
            cache.put(id(number), 1, number);
        }
        assert_eq!(cache.take(id(0)), None);
        assert_eq!(cache.take(id(1)), Some(1));
        assert_eq!(cache.take(id(TASKS_MAX)), Some(TASKS_MAX));
    }

    #[test]
    fn the_oldest_goes_when_they_are_too_heavy() {
        let mut cache = Cache::new(TASKS_MAX, ENTRIES_MAX);
        cache.put(id(1), ENTRIES_MAX / 2, 1);
        cache.put(id(2), ENTRIES_MAX / 2, 2);
        cache.put(id(3), 1, 3);
        assert_eq!((cache.take(id(1)), cache.take(id(2)), cache.take(id(3))), (None, Some(2), Some(3)));
        cache.put(id(4), ENTRIES_MAX + 1, 4);
        assert_eq!(cache.take(id(4)), None);
    }

    #[test]
    fn the_order_does_not_grow_with_use() {
        let mut cache = Cache::new(TASKS_MAX, ENTRIES_MAX);
        for number in 0..10 * TASKS_MAX {
            cache.put(id(number % 7), 1, number);
            cache.take(id(number % 7));
        }
        assert!(cache.order.len() <= 2 * TASKS_MAX);
    }
}
