//! Payloads in JSON: the value itself, verbatim, when the bytes are JSON; else `{"$base64": "…"}`. A JSON value of
//! just that shape is itself carried as base64, so nothing is ambiguous.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

use crate::model::{PAYLOAD_MAX, Payload};

/// The key of bytes in JSON.
pub(super) const WRAPPER: &str = "$base64";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped<'a> {
    #[serde(rename = "$base64", borrow)]
    base64: std::borrow::Cow<'a, str>,
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.as_bytes();
        if let Ok(text) = std::str::from_utf8(bytes)
            && let Ok(raw) = serde_json::from_str::<&RawValue>(text)
            && !is_wrapped(raw.get())
        {
            return raw.serialize(serializer);
        }
        Wrapped { base64: STANDARD.encode(bytes).into() }.serialize(serializer)
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
    let payload = match text.starts_with('{').then(|| serde_json::from_str::<Wrapped<'_>>(text)) {
        Some(Ok(wrapped)) => match STANDARD.decode(wrapped.base64.as_bytes()) {
            Ok(bytes) => Payload::from(bytes),
            Err(why) => return Err(format!("the value of \"{WRAPPER}\" is not base64: {why}")),
        },
        // Any other object, or no object: the value itself.
        Some(Err(_)) | None if text.len() <= PAYLOAD_MAX => Payload::from(text),
        Some(Err(_)) | None => return Err(too_long(text.len())),
    };
    if payload.len() > PAYLOAD_MAX { Err(too_long(payload.len())) } else { Ok(payload) }
}

fn too_long(bytes: usize) -> String {
    format!("the value is {bytes} bytes long; at most {PAYLOAD_MAX} are allowed")
}

fn is_wrapped(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<Wrapped<'_>>(text).is_ok()
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
    fn other_bytes_and_the_wrapper_itself_are_wrapped() {
        assert_eq!(there_and_back(&[0xff, 0x00]), r#"{"$base64":"/wA="}"#);
        assert_eq!(there_and_back(b""), r#"{"$base64":""}"#);
        assert_eq!(there_and_back(b"{oops"), r#"{"$base64":"e29vcHM="}"#);
        assert!(there_and_back(br#"{"$base64":"AA=="}"#).starts_with(r#"{"$base64":"eyI"#));
        assert_eq!(there_and_back(br#"{"$base64":"AA==","x":1}"#), r#"{"$base64":"AA==","x":1}"#);
    }

    #[test]
    fn wrong_base64_is_an_error() {
        assert!(serde_json::from_str::<Payload>(r#"{"$base64":"?"}"#).is_err());
    }
}
