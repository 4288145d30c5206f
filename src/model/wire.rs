//! How some values are written in a record's JSON.

/// SHA-256, as 64 hexadecimal digits.
pub mod digest {
    use std::fmt::Write as _;

    use serde::{Deserialize as _, Deserializer, Serializer, de};

    fn to_text(digest: &[u8; 32]) -> String {
        digest.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
    }

    fn from_text<E: de::Error>(text: &str) -> Result<[u8; 32], E> {
        let wrong = || E::invalid_value(de::Unexpected::Str(text), &"64 hexadecimal digits");
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut digest = [0; 32];
        for (at, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(digest)
    }

    pub fn serialize<S: Serializer>(digest: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_text(digest))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        from_text(&String::deserialize(deserializer)?)
    }

    /// Such a field that may be null.
    pub mod optional {
        use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

        pub fn serialize<S: Serializer>(digest: &Option<[u8; 32]>, serializer: S) -> Result<S::Ok, S::Error> {
            digest.as_ref().map(super::to_text).serialize(serializer)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[u8; 32]>, D::Error> {
            Option::<String>::deserialize(deserializer)?.map(|text| super::from_text(&text)).transpose()
        }
    }
}

/// How a step ended: `{"completed": result}` or `{"failed": failure}`.
pub mod ended {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::model::{Failure, Payload};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Ended<T, F> {
        Completed(T),
        Failed(F),
    }

    pub fn serialize<S: Serializer>(outcome: &Result<Payload, Failure>, serializer: S) -> Result<S::Ok, S::Error> {
        match outcome {
            Ok(result) => Ended::Completed(result),
            Err(failure) => Ended::Failed(failure),
        }
        .serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Result<Payload, Failure>, D::Error> {
        Ok(match Ended::deserialize(deserializer)? {
            Ended::Completed(result) => Ok(result),
            Ended::Failed(failure) => Err(failure),
        })
    }
}
