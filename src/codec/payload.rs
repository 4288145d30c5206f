//! Payloads in JSON: the value itself, verbatim, when the bytes are JSON; else `{"$base64": "…"}`. Bytes that happen to be
//! JSON themselves are kept in that form, so that they come out as bytes, whatever they spell.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

use super::bytes;
use crate::model::{PAYLOAD_MAX, Payload};

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match json_of(self.as_bytes()) {
            Some(json) => match bytes::unwrapped(json.get()) {
                None => json.serialize(serializer),
                Some(Ok(held)) if json_of(&held).is_some() => json.serialize(serializer),
                // Bytes are not kept so: it is an object from before they were kept in this form at all.
                Some(_) => RawValue::from_string(bytes::escaped(json.get()))
                    .map_err(serde::ser::Error::custom)?
                    .serialize(serializer),
            },
            None => bytes::to_write(self.as_bytes()).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        from_text(raw.get()).map_err(de::Error::custom)
    }
}

/// The payload that this JSON value stands for.
fn from_text(text: &str) -> Result<Payload, String> {
    if text.len() > PAYLOAD_MAX / 3 * 4 + WRAPPED {
        return Err(too_long(text.len()));
    }
    let payload = match bytes::unwrapped(text).transpose()? {
        None => Payload::from(text),
        Some(held) if json_of(&held).is_some() => Payload::from(bytes::wrapped(&held)),
        Some(held) => Payload::from(held),
    };
    if payload.len() > PAYLOAD_MAX { Err(too_long(payload.len())) } else { Ok(payload) }
}

/// Room for what stands around base64, with white space in it.
const WRAPPED: usize = 1024;

/// Bytes that are a JSON value.
fn json_of(bytes: &[u8]) -> Option<&RawValue> {
    std::str::from_utf8(bytes).ok().and_then(|text| serde_json::from_str(text).ok())
}

fn too_long(bytes: usize) -> String {
    format!("the value is {bytes} bytes long; at most {PAYLOAD_MAX} are allowed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(bytes: &[u8]) -> String {
        let payload = Payload::from(bytes.to_vec());
        let text = serde_json::to_string(&payload).unwrap();
        assert_eq!(serde_json::from_str::<Payload>(&text).unwrap(), payload, "{text}");
        text
    }

    #[test]
    fn json_stays_verbatim() {
        assert_eq!(there_and_back(b"12345678901234567890.10"), "12345678901234567890.10");
        assert_eq!(there_and_back(br#"{"b": 1,"a":[ 2 ]}"#), r#"{"b": 1,"a":[ 2 ]}"#);
    }

    #[test]
    fn other_bytes_are_wrapped() {
        assert_eq!(there_and_back(&[0xff, 0x00]), r#"{"$base64":"/wA="}"#);
        assert_eq!(there_and_back(b""), r#"{"$base64":""}"#);
        assert_eq!(there_and_back(b"{oops"), r#"{"$base64":"e29vcHM="}"#);
        assert_eq!(there_and_back(br#"{"$base64":"AA==","x":1}"#), r#"{"$base64":"AA==","x":1}"#);
        assert_eq!(there_and_back(br#"{"$base64":{"$base64":"AA=="}}"#), r#"{"$base64":{"$base64":"AA=="}}"#);
    }

    /// What went in as bytes comes out as bytes.
    #[test]
    fn bytes_that_spell_json_stay_bytes() {
        for spelt in ["123", r#"{"a":1}"#, "null", r#""text""#, " [1] ", r#"{"$base64":"AA=="}"#, r#"{"$base64":"?"}"#]
        {
            let text = bytes::wrapped(spelt.as_bytes());
            let payload: Payload = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&payload).unwrap(), text, "{spelt}");
            assert_eq!(there_and_back(payload.as_bytes()), text, "{spelt}");
        }
        // However they are written.
        let written: Payload = serde_json::from_str(r#"{ "\u0024base64" : "MTIz" }"#).unwrap();
        assert_eq!(serde_json::to_string(&written).unwrap(), r#"{"$base64":"MTIz"}"#);
    }

    /// Stores have such objects from before; they stay what they are.
    #[test]
    fn an_object_that_only_looks_like_bytes_comes_out_as_one() {
        for old in [r#"{"$base64":"AA=="}"#, r#"{"$base64":"?"}"#] {
            let text = serde_json::to_string(&Payload::from(old)).unwrap();
            assert_eq!(text, format!(r#"{{"$base64":{old}}}"#));
            assert_eq!(there_and_back(text.as_bytes()), text);
        }
    }

    #[test]
    fn wrong_base64_is_an_error() {
        assert!(serde_json::from_str::<Payload>(r#"{"$base64":"?"}"#).is_err());
    }
}
