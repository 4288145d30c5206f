//! How often something may start: a bucket of tokens, of which each start takes one. It fills evenly with time and holds
//! no more than its burst, so that in no stretch of time there are more starts than the burst and what came in meanwhile.

use serde::{Deserialize, Serialize};

use super::counts;
use super::duration::seconds;
use super::{Error, Result, Timestamp};

/// What a full bucket may take to fill, in microseconds: some ten years.
const FILLS_WITHIN: i64 = 3_660 * 86_400 * 1_000_000;

/// An empty bucket is full after a known time. It is further away for one who has begun before another's start, and by more
/// than this where the clock was set back.
const SET_BACK: i64 = 60 * 1_000_000;

/// At most `limit` starts in `period` seconds, and `burst` at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    #[serde(default = "one", deserialize_with = "counts::deserialize")]
    pub limit: u32,
    #[serde(default = "second", deserialize_with = "seconds::number")]
    pub period: f64,
    #[serde(default = "one", deserialize_with = "counts::deserialize")]
    pub burst: u32,
}

fn second() -> f64 {
    1.0
}

fn one() -> u32 {
    1
}

impl Rate {
    pub fn check(&self, key: &'static str) -> Result<()> {
        let wrong = |field: &str, told: String| {
            Err(Error::invalid(format!("{key}.{field} is {told}")).with("key", field.to_owned()))
        };
        for (field, number) in [("limit", self.limit), ("burst", self.burst)] {
            if number == 0 {
                return wrong(field, "0; it must be at least 1".to_owned());
            }
        }
        if !(self.period.is_finite() && self.period > 0.0) {
            return wrong("period", format!("{}; it must be more than 0 seconds", self.period));
        }
        if self.period * 1_000_000.0 < f64::from(self.limit) {
            return wrong("limit", format!("{} in {} s; more than one in a microsecond", self.limit, self.period));
        }
        if self.period * f64::from(self.burst) / f64::from(self.limit) * 1_000_000.0 > FILLS_WITHIN as f64 {
            return wrong("burst", format!("{}; as many starts would take more than ten years", self.burst));
        }
        Ok(())
    }

    /// From one token to the next, in microseconds: rather too long than too short.
    pub fn interval(&self) -> i64 {
        (self.period * 1_000_000.0 / f64::from(self.limit)).ceil() as i64
    }

    /// How many may start now. `full_at`: when the bucket is full again.
    pub fn tokens(&self, full_at: Timestamp, now: Timestamp) -> usize {
        let missing = self.missing(full_at, now);
        let gone = (missing + self.interval() - 1) / self.interval();
        usize::try_from(i64::from(self.burst) - gone).unwrap_or(0)
    }

    /// When the bucket is full again after so many have started.
    pub fn after(&self, full_at: Timestamp, now: Timestamp, starts: usize) -> Timestamp {
        let starts = i64::try_from(starts).unwrap_or(i64::MAX);
        let taken = self.interval().saturating_mul(starts);
        Timestamp::from_micros(now.micros().saturating_add(self.missing(full_at, now)).saturating_add(taken))
    }

    /// When there is a token again, of a bucket that is empty.
    pub fn next(&self, full_at: Timestamp, now: Timestamp) -> Timestamp {
        let all_but_one = self.interval() * (i64::from(self.burst) - 1);
        Timestamp::from_micros(now.micros() + (self.missing(full_at, now) - all_but_one).max(0))
    }

    /// How long until it is full, in microseconds.
    fn missing(&self, full_at: Timestamp, now: Timestamp) -> i64 {
        let missing = (full_at.micros() - now.micros()).max(0);
        let most = self.interval() * i64::from(self.burst);
        if missing > most + SET_BACK { most } else { missing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn rate(limit: u32, period: f64, burst: u32) -> Rate {
        Rate { limit, period, burst }
    }

    #[test]
    fn tokens_are_taken_and_come_again_one_by_one() {
        let rate = rate(2, 1.0, 3);
        let start = at(1_000_000_000);
        assert_eq!(rate.tokens(at(0), start), 3);
        let full = rate.after(at(0), start, 3);
        assert_eq!(rate.tokens(full, start), 0);
        let next = rate.next(full, start);
        assert_eq!(next, at(1_000_500_000));
        assert_eq!(rate.tokens(full, at(next.micros() - 1)), 0);
        assert_eq!(rate.tokens(full, next), 1);
        assert_eq!(rate.tokens(full, at(1_001_499_999)), 2);
        assert_eq!(rate.tokens(full, at(1_001_500_000)), 3);
        assert_eq!(rate.tokens(full, at(9_000_000_000)), 3, "no more than the burst");
    }

    #[test]
    fn in_no_stretch_of_time_there_are_more_than_it_says() {
        for rate in [rate(3, 1.0, 1), rate(3, 1.0, 5), rate(1_000_000, 1.0, 1), rate(7, 60.0, 2)] {
            let (mut now, mut full, mut starts) = (at(1_000_000_000), at(0), Vec::new());
            for turn in 0..2_000_i64 {
                let taken = rate.tokens(full, now).min((turn % 4) as usize);
                full = rate.after(full, now, taken);
                starts.extend(std::iter::repeat_n(now.micros(), taken));
                now = at(now.micros() + (turn * 7_919) % (rate.interval() * 2));
            }
            assert!(starts.len() > 500);
            for (first, from) in starts.iter().enumerate() {
                for (last, to) in starts.iter().enumerate().skip(first) {
                    let most = f64::from(rate.burst) + (to - from) as f64 * f64::from(rate.limit) / (rate.period * 1e6);
                    assert!((last - first + 1) as f64 <= most + 1e-6, "{rate:?}");
                }
            }
        }
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nobody_wait_longer_than_an_empty_bucket() {
        let rate = rate(1, 1.0, 2);
        let full = at(90_000_000_000);
        assert_eq!(rate.tokens(full, at(1_000_000)), 0);
        assert_eq!(rate.next(full, at(1_000_000)), at(2_000_000));
        assert_eq!(rate.after(full, at(1_000_000), 0), at(3_000_000));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in [rate(0, 1.0, 1), rate(1, 0.0, 1), rate(1, f64::NAN, 1), rate(1, 1.0, 0), rate(3, 2e-6, 1)] {
            assert!(wrong.check("rate").is_err(), "{wrong:?}");
        }
        let message = rate(1, 1e9, 9).check("rate").unwrap_err().to_string();
        assert!(message.contains("rate.burst is 9"), "{message}");
        rate(1, 86_400.0, 100).check("rate").unwrap();
    }
}
