//! Timestamps as PostgreSQL stores them: microseconds since 2000.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

use crate::model::Timestamp;

/// 2000-01-01T00:00:00Z.
const EPOCH: i64 = 946_684_800_000_000;

/// PostgreSQL's range: from 4713 BC to the year 294276. Instants outside become its infinity.
const FIRST: i64 = -211_813_488_000_000_000;
const LAST: i64 = 9_223_371_331_199_999_999;

/// The fixed type ids of `timestamptz` and of arrays of it.
const TIMESTAMPTZ: PgTypeInfo = PgTypeInfo::with_oid(Oid(1184));
const ARRAY: PgTypeInfo = PgTypeInfo::with_oid(Oid(1185));

impl Type<Postgres> for Timestamp {
    fn type_info() -> PgTypeInfo {
        TIMESTAMPTZ
    }
}

impl PgHasArrayType for Timestamp {
    fn array_type_info() -> PgTypeInfo {
        ARRAY
    }
}

impl Encode<'_, Postgres> for Timestamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend(&to_stored(self.micros()).to_be_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Timestamp {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let bytes: [u8; 8] = value.as_bytes()?.try_into()?;
        Ok(Self::from_micros(from_stored(i64::from_be_bytes(bytes))))
    }
}

const fn to_stored(micros: i64) -> i64 {
    match micros.saturating_sub(EPOCH) {
        ..FIRST => i64::MIN,
        stored @ FIRST..=LAST => stored,
        _ => i64::MAX,
    }
}

const fn from_stored(stored: i64) -> i64 {
    match stored {
        i64::MIN => i64::MIN,
        _ => stored.saturating_add(EPOCH),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_come_back_and_the_ends_of_time_are_infinity() {
        for micros in [0, 1_700_000_000_123_456, EPOCH, -1, i64::MAX, i64::MIN] {
            assert_eq!(from_stored(to_stored(micros)), micros);
        }
        assert_eq!(to_stored(i64::MIN + 1), i64::MIN);
    }
}
