//! Counts of what there must be one of at least. What can be none of them is refused with their range. 0 is read: who checks it says
//! what else to do.

use std::fmt;

use serde::{Deserializer, de};

struct Count {
    most: u64,
}

impl de::Visitor<'_> for Count {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an integer from 1 to {}", self.most)
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<u64, E> {
        if count > self.most {
            return Err(E::invalid_value(de::Unexpected::Unsigned(count), &self));
        }
        Ok(count)
    }

    fn visit_i64<E: de::Error>(self, count: i64) -> Result<u64, E> {
        u64::try_from(count).map_err(|_| E::invalid_value(de::Unexpected::Signed(count), &self))
    }
}

pub fn up_to<'de, D: Deserializer<'de>>(most: u64, deserializer: D) -> Result<u64, D::Error> {
    deserializer.deserialize_any(Count { most })
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    up_to(u64::from(u32::MAX), deserializer).map(|count| u32::try_from(count).unwrap_or(u32::MAX))
}
