//! Numbers of operations, and sets of them that a task waits for.

use serde::{Deserialize, Serialize};

use super::state::words;
use super::{Error, Result};

/// The number of a durable operation within its task, in order of first issue, from 1.
pub type Op = u32;

words! {
    /// When a wait is over.
    WaitMode, "a wait's mode" {
        All = "all",
        Any = "any",
    }
}

/// A set of operation numbers, kept as sorted ranges: ten thousand children in a row are one pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpSet(Vec<(Op, Op)>);

impl OpSet {
    pub fn contains(&self, op: Op) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= op);
        after > 0 && op <= self.0[after - 1].1
    }

    pub fn len(&self) -> u64 {
        self.0.iter().map(|(first, last)| u64::from(last - first) + 1).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = Op> + '_ {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }

    /// The text of a set in the store: `1-5,9`.
    pub fn to_text(&self) -> String {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
            .collect();
        parts.join(",")
    }

    pub fn from_text(text: &str) -> Result<Self> {
        let wrong = || Error::backend(format!("the set of awaited operations '{text}' is not of the form 1-5,9"));
        let mut ranges: Vec<(Op, Op)> = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: Op = first.parse().map_err(|_| wrong())?;
            let last: Op = last.parse().map_err(|_| wrong())?;
            if last < first || ranges.last().is_some_and(|(_, before)| *before >= first) {
                return Err(wrong());
            }
            ranges.push((first, last));
        }
        Ok(Self(ranges))
    }
}

impl Serialize for OpSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for OpSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_text(&text).map_err(|why| serde::de::Error::custom(why.message()))
    }
}

impl FromIterator<Op> for OpSet {
    fn from_iter<I: IntoIterator<Item = Op>>(ops: I) -> Self {
        let mut sorted: Vec<Op> = ops.into_iter().collect();
        sorted.sort_unstable();
        let mut ranges: Vec<(Op, Op)> = Vec::new();
        for op in sorted {
            match ranges.last_mut() {
                Some((_, last)) if op <= last.saturating_add(1) => *last = op.max(*last),
                _ => ranges.push((op, op)),
            }
        }
        Self(ranges)
    }
}

/// What a suspended task waits for, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    pub mode: WaitMode,
    pub ops: OpSet,
    /// How many of `ops` have not arrived yet.
    pub missing: u64,
}

impl Wait {
    pub fn new(mode: WaitMode, ops: OpSet) -> Self {
        let missing = ops.len();
        Self { mode, ops, missing }
    }

    /// Takes completions in. True: the wait is over.
    pub fn arrive(&mut self, ops: impl IntoIterator<Item = Op>) -> bool {
        for op in ops {
            if self.ops.contains(op) {
                self.missing = self.missing.saturating_sub(1);
            }
        }
        self.is_over()
    }

    /// A wait for nothing is over at once.
    pub fn is_over(&self) -> bool {
        match self.mode {
            WaitMode::All => self.missing == 0,
            WaitMode::Any => self.ops.is_empty() || self.missing < self.ops.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_ranges() {
        let set: OpSet = [5, 1, 2, 3, 9, 3].into_iter().collect();
        assert_eq!(set.to_text(), "1-3,5,9");
        assert_eq!(set.len(), 5);
        assert_eq!(OpSet::from_text("1-3,5,9").unwrap(), set);
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 2, 3, 5, 9]);
        assert!(set.contains(2) && set.contains(9) && !set.contains(4) && !set.contains(0));
        assert!(
            OpSet::from_text("5-1").is_err() && OpSet::from_text("1-4,3").is_err() && OpSet::from_text("x").is_err()
        );
    }

    #[test]
    fn all_needs_every_one_and_any_the_first() {
        let mut all = Wait::new(WaitMode::All, (1..=3).collect());
        assert!(!all.arrive([1, 7]));
        assert!(all.arrive([2, 3]));
        let mut any = Wait::new(WaitMode::Any, (1..=3).collect());
        assert!(!any.arrive([9]));
        assert!(any.arrive([2]));
        assert!(Wait::new(WaitMode::All, OpSet::default()).is_over());
        assert!(Wait::new(WaitMode::Any, OpSet::default()).is_over());
    }
}
