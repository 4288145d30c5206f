//! Who goes first: a priority that grows old, and shares of a queue.

use std::time::Duration;

use crate::model::{Error, Result};

/// How long a wait may count as one step of priority.
pub const AGEING_MIN: Duration = Duration::from_millis(1);
pub const AGEING_MAX: Duration = Duration::from_secs(365 * 86_400);

/// How much more one key may get than another.
pub const WEIGHT_MIN: f64 = 0.01;
pub const WEIGHT_MAX: f64 = 100.0;

pub(super) fn check_ageing(ageing: Option<Duration>) -> Result<()> {
    match ageing {
        Some(ageing) if !(AGEING_MIN..=AGEING_MAX).contains(&ageing) => Err(Error::invalid(format!(
            "priority_ageing is {} s; it must be from {} to {} s (leave it out for priorities that don't age)",
            ageing.as_secs_f64(),
            AGEING_MIN.as_secs_f64(),
            AGEING_MAX.as_secs(),
        ))
        .with("key", "priority_ageing")),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn check_weight(key: Option<&str>, weight: Option<f64>) -> Result<()> {
    let Some(weight) = weight else { return Ok(()) };
    let wrong = |told: String| Err(Error::invalid(told).with("key", "fairness_weight"));
    if key.is_none() {
        return wrong("fairness_weight is given without a fairness_key".to_owned());
    }
    if !(WEIGHT_MIN..=WEIGHT_MAX).contains(&weight) {
        return wrong(format!("fairness_weight is {weight}; it must be from {WEIGHT_MIN} to {WEIGHT_MAX}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        for ageing in [AGEING_MIN, AGEING_MAX] {
            assert!(check_ageing(Some(ageing)).is_ok());
        }
        for ageing in [Duration::ZERO, AGEING_MIN / 2, AGEING_MAX + AGEING_MIN] {
            assert!(check_ageing(Some(ageing)).is_err(), "{ageing:?}");
        }
        for weight in [WEIGHT_MIN, 1.0, WEIGHT_MAX] {
            assert!(check_weight(Some("k"), Some(weight)).is_ok());
            assert!(check_weight(None, Some(weight)).is_err());
        }
        for weight in [0.0, -1.0, WEIGHT_MIN / 2.0, WEIGHT_MAX * 2.0, f64::NAN, f64::INFINITY] {
            assert!(check_weight(Some("k"), Some(weight)).is_err(), "{weight}");
        }
    }
}
