//! Histograms: relaxed atomics, cheap enough to update for every task.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

/// What a histogram measures, and the upper bounds of its buckets; a last bucket has none.
#[derive(Debug, PartialEq, Eq)]
pub struct Scale {
    pub bounds: &'static [u64],
    /// The name of the sum in JSON, which says the unit.
    sum: &'static str,
    /// So many of the unit are one of Prometheus's base unit.
    base: u32,
}

/// Durations, in microseconds.
pub static DURATIONS: Scale = Scale {
    bounds: &[
        100,
        250,
        500,
        1_000,
        2_500,
        5_000,
        10_000,
        25_000,
        50_000,
        100_000,
        250_000,
        500_000,
        1_000_000,
        2_500_000,
        5_000_000,
        10_000_000,
        30_000_000,
        60_000_000,
        300_000_000,
        3_600_000_000,
    ],
    sum: "sum_us",
    base: 1_000_000,
};

/// Sizes, in bytes.
pub static SIZES: Scale = Scale {
    bounds: &[64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20],
    sum: "sum_bytes",
    base: 1,
};

/// Numbers of transitions.
pub static COUNTS: Scale = Scale { bounds: &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512], sum: "sum", base: 1 };

#[derive(Debug)]
pub(super) struct Histogram {
    scale: &'static Scale,
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    pub(super) fn new(scale: &'static Scale) -> Self {
        let buckets = (0..=scale.bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { scale, buckets, sum: AtomicU64::new(0) }
    }

    pub(super) fn observe(&self, amount: u64) {
        let bucket = self.scale.bounds.partition_point(|bound| *bound < amount);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(amount, Relaxed);
    }

    /// For one of [`DURATIONS`].
    pub(super) fn observe_time(&self, duration: Duration) {
        self.observe(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn values(&self) -> HistogramValues {
        HistogramValues {
            scale: self.scale,
            buckets: self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect(),
            sum: self.sum.load(Relaxed),
        }
    }
}

/// A histogram at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramValues {
    pub scale: &'static Scale,
    /// Observations in each bucket (not cumulated), the last one beyond every bound.
    pub buckets: Vec<u64>,
    pub sum: u64,
}

impl HistogramValues {
    /// Without an observation.
    pub fn none(scale: &'static Scale) -> Self {
        Self { scale, buckets: vec![0; scale.bounds.len() + 1], sum: 0 }
    }

    /// Takes in another one of the same scale.
    pub fn add(&mut self, other: &Self) {
        for (bucket, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket += more;
        }
        self.sum = self.sum.wrapping_add(other.sum);
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// An amount in Prometheus's base unit: seconds, bytes.
    pub fn in_base_unit(&self, amount: u64) -> f64 {
        amount as f64 / f64::from(self.scale.base)
    }

    /// The upper bound of the bucket in which this part (0..=1) of the observations is reached; 0 when there are none.
    /// What lies beyond the last bound is told as the last bound.
    pub fn quantile(&self, part: f64) -> u64 {
        let count = self.count();
        if count == 0 {
            return 0;
        }
        let wanted = ((count as f64) * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, bound) in self.buckets.iter().zip(self.scale.bounds) {
            seen += bucket;
            if seen >= wanted {
                return *bound;
            }
        }
        self.scale.bounds.last().copied().unwrap_or(0)
    }
}

impl Serialize for HistogramValues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("histogram", 2)?;
        fields.serialize_field("buckets", &self.buckets)?;
        fields.serialize_field(self.scale.sum, &self.sum)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_falls_into_the_first_bucket_that_holds_it() {
        let histogram = Histogram::new(&DURATIONS);
        for micros in [0, 100, 101, 3_599_000_000, 3_601_000_000] {
            histogram.observe_time(Duration::from_micros(micros));
        }
        let values = histogram.values();
        assert_eq!(values.buckets[..2], [2, 1]);
        assert_eq!(values.buckets[19..], [1, 1]);
        assert_eq!((values.count(), values.sum), (5, 7_200_000_201));
    }

    #[test]
    fn quantiles_are_bounds_of_buckets() {
        let histogram = Histogram::new(&DURATIONS);
        assert_eq!(histogram.values().quantile(0.5), 0);
        for _ in 0..9 {
            histogram.observe_time(Duration::from_micros(800));
        }
        histogram.observe_time(Duration::from_secs(10_000));
        assert_eq!(histogram.values().quantile(0.5), 1_000);
        assert_eq!(histogram.values().quantile(1.0), 3_600_000_000);
    }

    #[test]
    fn bounds_rise() {
        for scale in [&DURATIONS, &SIZES, &COUNTS] {
            assert!(scale.bounds.is_sorted_by(|one, next| one < next), "{scale:?}");
        }
    }
}
