//! Bytes in JSON: `{"$base64": "…"}`, at any depth. A JSON object that looks so, or looks like such an object in another
//! one (`{"$base64": {"$base64": "…"}}`), is written with one such key more around it, and so nothing is ambiguous.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The key of bytes in JSON.
pub(super) const WRAPPER: &str = "$base64";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped<'a> {
    #[serde(rename = "$base64", borrow)]
    base64: Cow<'a, str>,
}

/// The bytes that this JSON value is; None for any other value.
pub(super) fn unwrapped(json: &str) -> Option<Result<Vec<u8>, String>> {
    let wrapped = json.starts_with('{').then(|| serde_json::from_str::<Wrapped<'_>>(json))?.ok()?;
    Some(STANDARD.decode(wrapped.base64.as_bytes()).map_err(|why| not_base64(&why)))
}

/// As [`wrapped`], to be written in something else.
pub(super) fn to_write(bytes: &[u8]) -> impl Serialize {
    Wrapped { base64: STANDARD.encode(bytes).into() }
}

/// Bytes as a JSON value.
pub(super) fn wrapped(bytes: &[u8]) -> String {
    format!("{{\"{WRAPPER}\":\"{}\"}}", STANDARD.encode(bytes))
}

/// A JSON object that looks like bytes, written so that it is read as the object that it is.
pub(super) fn escaped(object: &str) -> String {
    format!("{{\"{WRAPPER}\":{object}}}")
}

fn not_base64(why: &base64::DecodeError) -> String {
    format!("the value of \"{WRAPPER}\" is not base64: {why}")
}

/// Looks at every depth for bytes that nobody could read. `json` is JSON.
///
/// No stack is needed: an object with one member, which is a string, is closed where that ends.
pub(super) fn check(json: &str) -> Result<(), String> {
    // Almost no payload has the key in it, in plain letters or with escapes.
    if !json.contains(WRAPPER) && !json.contains("\\u") {
        return Ok(());
    }
    let scan = Scan(json.as_bytes());
    let mut at = 0;
    let mut in_another = false;
    while let Some(byte) = json.as_bytes().get(at) {
        match byte {
            b'"' => at = scan.string_end(at),
            b'{' => {
                let value = scan.behind_the_key(at);
                let escapes = value.is_some_and(|value| scan.byte(value) == b'{');
                if let Some(value) = value
                    && scan.byte(value) == b'"'
                    && !in_another
                {
                    let end = scan.string_end(value);
                    if scan.byte(scan.blanks(end)) == b'}' {
                        let text = json.get(value..end).unwrap_or_default();
                        let base64: Cow<'_, str> =
                            serde_json::from_str::<Text<'_>>(text).map_err(|why| why.to_string())?.0;
                        STANDARD.decode(base64.as_bytes()).map_err(|why| not_base64(&why))?;
                    }
                }
                in_another = escapes;
                at = value.unwrap_or(at + 1);
            }
            _ => at += 1,
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A text that is JSON; what lies behind its end is 0.
struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    fn blanks(&self, mut at: usize) -> usize {
        while self.byte(at).is_ascii_whitespace() {
            at += 1;
        }
        at
    }

    /// Where a string ends that begins here.
    fn string_end(&self, at: usize) -> usize {
        let mut at = at + 1;
        loop {
            match self.byte(at) {
                b'\\' => at += 2,
                b'"' => return at + 1,
                _ if at >= self.0.len() => return at,
                _ => at += 1,
            }
        }
    }

    /// Where the value of an object's first member begins, if its key is that of bytes.
    fn behind_the_key(&self, object: usize) -> Option<usize> {
        let key = self.blanks(object + 1);
        if self.byte(key) != b'"' {
            return None;
        }
        let end = self.string_end(key);
        let name = self.0.get(key..end)?;
        let is_it = name == b"\"$base64\""
            || name.contains(&b'\\') && serde_json::from_slice::<String>(name).is_ok_and(|name| name == WRAPPER);
        is_it.then(|| self.blanks(self.blanks(end) + 1))
    }
}

/// Text that tells of a failure is never refused for half a character in it, as one that was cut in the middle of an
/// emoji has: `\ud83d` without its other half is read as U+FFFD, as in any other encoding.
pub(super) fn whole(json: &str) -> Cow<'_, str> {
    let mut out: Option<String> = None;
    let mut kept = 0;
    let mut at = 0;
    let bytes = json.as_bytes();
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        let unit = unit(bytes, at);
        let pair = matches!(unit, Some(0xd800..0xdc00)) && matches!(self::unit(bytes, at + 6), Some(0xdc00..0xe000));
        match unit {
            Some(_) if pair => at += 12,
            Some(0xd800..0xe000) => {
                let out = out.get_or_insert_default();
                out.push_str(json.get(kept..at).unwrap_or_default());
                out.push_str("\\ufffd");
                at += 6;
                kept = at;
            }
            _ => at += 2,
        }
    }
    match out {
        Some(mut out) => {
            out.push_str(json.get(kept..).unwrap_or_default());
            Cow::Owned(out)
        }
        None => Cow::Borrowed(json),
    }
}

/// The UTF-16 unit of an escape `\uXXXX` that stands here.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(br"\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_looked_at_at_every_depth() {
        for good in [
            "1",
            r#""$base64""#,
            r#"{"$base64":"AA=="}"#,
            r#"[{"a":{"$base64":"\/wA="}}]"#,
            r#"{"$base64":5}"#,
            r#"{"$base64":"%%%","more":1}"#,
            r#"["{\"$base64\":\"%%%\"}"]"#,
            // What is in another such object is that object's value, and no bytes.
            r#"[{"$base64":{"$base64":"%%%"}}]"#,
            r#"{"\ud83d":"\\u"}"#,
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            r#"{"u":{"$base64":"%%%"}}"#,
            r#"[1,[{ "$base64" : "A" }]]"#,
            r#"{"a":{"\u0024base64":"%%%"}}"#,
            r#"[{"$base64":{"$base64":"%%%"}},{"$base64":"%%%"}]"#,
        ] {
            assert!(check(bad).is_err_and(|why| why.contains("is not base64")), "{bad}");
        }
        let depth = 200_000;
        let deep = format!("{}{{\"$base64\":\"%\"}}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(&deep).is_err());
    }

    #[test]
    fn half_a_character_is_replaced() {
        assert_eq!(whole(r#""cut: \ud83d""#), r#""cut: \ufffd""#);
        assert_eq!(whole(r#""\udc00\ud83d\ud83d\ude00\\ud83d""#), r#""\ufffd\ufffd\ud83d\ude00\\ud83d""#);
        assert!(matches!(whole(r#""\ud83d\ude00 \n\u00e9""#), Cow::Borrowed(_)));
    }
}
