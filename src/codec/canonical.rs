//! Compares arguments by meaning: canonical JSON (sorted keys, no white space, numbers as written, the last of
//! duplicate keys) and its SHA-256. Bytes that are not JSON are compared as they are.
//!
//! Nothing here recurses, because users' data may be nested deeply. One pass over the text finds the members of each
//! object, a second writes them in order, so the cost is one sort, whatever the nesting.

use std::borrow::Cow;

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::model::{Canonical, Payload};

/// [`Canonical`] for JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct CanonicalJson;

impl Canonical for CanonicalJson {
    fn hash(&self, args: &Payload, kwargs: &Payload) -> [u8; 32] {
        let mut hash = Sha256::new();
        for payload in [args, kwargs] {
            // Kind and length come before the bytes, so that different pairs can't give the same input.
            let canonical = canonical(payload.as_bytes());
            let (kind, bytes) = match &canonical {
                Some(bytes) => (b'j', bytes.as_slice()),
                None => (b'b', payload.as_bytes()),
            };
            hash.update([kind]);
            hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(bytes);
        }
        hash.finalize().into()
    }

    fn same(&self, a: &Payload, b: &Payload) -> bool {
        a == b || canonical(a.as_bytes()).is_some_and(|a| canonical(b.as_bytes()) == Some(a))
    }
}

/// The canonical form, or `None` for what is not JSON.
pub fn canonical(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    // From here on the text is known to be one JSON value, so the scanner below need not look for errors.
    let text = serde_json::from_str::<&RawValue>(text).ok()?.get();
    let objects = Scan::objects(text.as_bytes());
    Some(Writer { text: text.as_bytes(), objects: &objects, out: Vec::with_capacity(text.len()) }.write())
}

/// An object of the text: where it ends, and its members in canonical order.
struct Object<'t> {
    start: usize,
    /// Just after its `}`.
    end: usize,
    members: Vec<Member<'t>>,
}

struct Member<'t> {
    /// Canonical, without its quotes.
    key: Cow<'t, [u8]>,
    /// Where the value starts.
    value: usize,
}

/// Where white space or the separators of a container end.
fn skip(text: &[u8], at: usize) -> usize {
    let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':');
    at + text[at..].iter().take_while(blank).count()
}

/// Where the string or the bare word that starts here ends.
fn scalar_end(text: &[u8], start: usize) -> usize {
    if text[start] != b'"' {
        let inside = |byte: &&u8| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' | b']' | b'}');
        return start + text[start..].iter().take_while(inside).count();
    }
    let mut at = start + 1;
    while text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

struct Scan<'t> {
    /// In the order of their starts.
    objects: Vec<Object<'t>>,
    /// Open containers: the object's index, or `None` for an array.
    open: Vec<Option<usize>>,
}

impl<'t> Scan<'t> {
    fn objects(text: &'t [u8]) -> Vec<Object<'t>> {
        let mut scan = Self { objects: Vec::new(), open: Vec::new() };
        let mut at = 0;
        loop {
            at = skip(text, at);
            let Some(byte) = text.get(at).copied() else { return scan.objects };
            match byte {
                b'}' | b']' => {
                    at += 1;
                    scan.close(at);
                    continue;
                }
                b'"' if scan.awaits_key() => {
                    let end = scalar_end(text, at);
                    let key = unescaped(&text[at + 1..end - 1]);
                    at = skip(text, end);
                    scan.member(Member { key, value: at });
                }
                _ => {}
            }
            at = scan.value(text, at);
        }
    }

    /// What is met directly inside an object is always a key: its value is taken along with it.
    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Some(_)))
    }

    fn member(&mut self, member: Member<'t>) {
        if let Some(Some(object)) = self.open.last() {
            self.objects[*object].members.push(member);
        }
    }

    /// Enters the container that starts here, or passes the scalar.
    fn value(&mut self, text: &[u8], at: usize) -> usize {
        match text[at] {
            b'{' => {
                self.open.push(Some(self.objects.len()));
                self.objects.push(Object { start: at, end: at, members: Vec::new() });
                at + 1
            }
            b'[' => {
                self.open.push(None);
                at + 1
            }
            _ => scalar_end(text, at),
        }
    }

    fn close(&mut self, end: usize) {
        if let Some(Some(index)) = self.open.pop() {
            let object = &mut self.objects[index];
            object.end = end;
            object.members.sort_by(|a, b| a.key.cmp(&b.key));
            // The sort is stable: of equal keys the one that was written last stands last.
            object.members.reverse();
            object.members.dedup_by(|later, earlier| later.key == earlier.key);
            object.members.reverse();
        }
    }
}

struct Writer<'t> {
    text: &'t [u8],
    objects: &'t [Object<'t>],
    out: Vec<u8>,
}

enum Frame<'t> {
    /// The next element, or the end, stands after here.
    Array {
        at: usize,
    },
    Object {
        object: &'t Object<'t>,
        next: usize,
    },
}

impl<'t> Writer<'t> {
    fn write(mut self) -> Vec<u8> {
        let mut open = Vec::new();
        let mut end = self.value(0, &mut open);
        while let Some(frame) = open.last_mut() {
            let start = match frame {
                Frame::Array { at } => {
                    // The end of the element before, if it has one: a container's end is known when it is written.
                    *at = skip(self.text, end.take().unwrap_or(*at));
                    if self.text[*at] == b']' {
                        self.out.push(b']');
                        end = Some(*at + 1);
                        open.pop();
                        continue;
                    }
                    self.comma(b'[');
                    *at
                }
                Frame::Object { object, next } => {
                    let Some(member) = object.members.get(*next) else {
                        self.out.push(b'}');
                        end = Some(object.end);
                        open.pop();
                        continue;
                    };
                    *next += 1;
                    self.comma(b'{');
                    self.string(&member.key);
                    self.out.push(b':');
                    member.value
                }
            };
            end = self.value(start, &mut open);
        }
        self.out
    }

    /// Between two elements; not after the bracket that opens the container.
    fn comma(&mut self, opening: u8) {
        if self.out.last() != Some(&opening) {
            self.out.push(b',');
        }
    }

    fn string(&mut self, canonical: &[u8]) {
        self.out.push(b'"');
        self.out.extend_from_slice(canonical);
        self.out.push(b'"');
    }

    /// Writes a scalar and tells where it ends, or opens a container.
    fn value(&mut self, start: usize, open: &mut Vec<Frame<'t>>) -> Option<usize> {
        match self.text[start] {
            b'{' => {
                self.out.push(b'{');
                let index = self.objects.partition_point(|object| object.start < start);
                open.push(Frame::Object { object: &self.objects[index], next: 0 });
                None
            }
            b'[' => {
                self.out.push(b'[');
                open.push(Frame::Array { at: start + 1 });
                None
            }
            first => {
                let end = scalar_end(self.text, start);
                if first == b'"' {
                    self.string(&unescaped(&self.text[start + 1..end - 1]));
                } else {
                    self.out.extend_from_slice(&self.text[start..end]);
                }
                Some(end)
            }
        }
    }
}

/// A string by its value: escapes only where JSON demands them (and for half a surrogate pair, which has no bytes).
fn unescaped(quoted: &[u8]) -> Cow<'_, [u8]> {
    if !quoted.contains(&b'\\') {
        return Cow::Borrowed(quoted);
    }
    let mut out = Vec::with_capacity(quoted.len());
    let mut at = 0;
    while at < quoted.len() {
        if quoted[at] != b'\\' {
            out.push(quoted[at]);
            at += 1;
            continue;
        }
        let (code, length) = unescape(&quoted[at..]);
        at += length;
        match char::from_u32(code) {
            Some('"') => out.extend_from_slice(b"\\\""),
            Some('\\') => out.extend_from_slice(b"\\\\"),
            Some(c) if c >= ' ' => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => out.extend_from_slice(format!("\\u{code:04x}").as_bytes()),
        }
    }
    Cow::Owned(out)
}

/// The code point that an escape stands for, and the length of the escape.
fn unescape(escape: &[u8]) -> (u32, usize) {
    let simple = |code: u8| (u32::from(code), 2);
    match escape[1] {
        b'b' => simple(0x08),
        b'f' => simple(0x0c),
        b'n' => simple(b'\n'),
        b'r' => simple(b'\r'),
        b't' => simple(b'\t'),
        b'u' => {
            let high = hex(&escape[2..]);
            if (0xd800..0xdc00).contains(&high)
                && escape.get(6..8) == Some(br"\u")
                && let low = hex(&escape[8..])
                && (0xdc00..0xe000).contains(&low)
            {
                return (0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00), 12);
            }
            (high, 6)
        }
        literal => simple(literal),
    }
}

fn hex(digits: &[u8]) -> u32 {
    digits.iter().take(4).fold(0, |code, digit| code * 16 + char::from(*digit).to_digit(16).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> String {
        String::from_utf8(canonical(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn keys_are_sorted_and_white_space_goes() {
        assert_eq!(
            form(" { \"b\" : [ 1 , { \"y\" : {} , \"x\" : [] } ] , \"a\" : null } "),
            r#"{"a":null,"b":[1,{"x":[],"y":{}}]}"#
        );
        assert_eq!(form("[ ]"), "[]");
        assert_eq!(form("[[ ],[{ }, [ ] ]]"), "[[],[{},[]]]");
        assert_eq!(form(r#"[{"b":[{"d":1,"c":2}],"a":0},3]"#), r#"[{"a":0,"b":[{"c":2,"d":1}]},3]"#);
        assert_eq!(form(" true "), "true");
    }

    #[test]
    fn numbers_stay_as_written() {
        assert_eq!(form("[1.0, 1, 1e2, -0]"), "[1.0,1,1e2,-0]");
    }

    #[test]
    fn strings_count_by_value() {
        assert_eq!(form(r#""\u0041\/\u00e9\ud83d\ude00\n\"\\""#), r#""A/é😀\u000a\"\\""#);
        assert_eq!(form(r#""\uD800x""#), r#""\ud800x""#);
        assert_eq!(form(r#"{"\u0062":1,"a":2}"#), r#"{"a":2,"b":1}"#);
        assert_eq!(form(r#"[",:]}","["]"#), r#"[",:]}","["]"#);
        assert_eq!(form(r#"["{",1]"#), r#"["{",1]"#);
    }

    #[test]
    fn of_equal_keys_the_last_wins() {
        assert_eq!(form(r#"{"a":1,"b":2,"\u0061":{"x":3}}"#), r#"{"a":{"x":3},"b":2}"#);
    }

    #[test]
    fn what_is_not_json_stands_for_itself() {
        let same = |a: &[u8], b: &[u8]| CanonicalJson.same(&Payload::from(a.to_vec()), &Payload::from(b.to_vec()));
        assert!(same(b"\xff", b"\xff") && !same(b"\xff", b"\xfe"));
        assert!(!same(b"{oops", b"{ oops"));
        assert!(same(br#"{"a":1,"b":2}"#, br#"{ "b": 2, "a": 1 }"#));
        assert!(!same(b"1", b"1.0"));
    }

    #[test]
    fn hashes_tell_args_from_kwargs_and_json_from_bytes() {
        let hash = |args: &str, kwargs: &str| CanonicalJson.hash(&Payload::from(args), &Payload::from(kwargs));
        assert_eq!(hash("[{\"a\":1,\"b\":2}]", "{}"), hash("[{\"b\":2, \"a\":1}]", "{ }"));
        assert_ne!(hash("[1]", "{}"), hash("{}", "[1]"));
        assert_ne!(hash("", "1"), hash("1", ""));
    }

    /// Recursion would end the process here.
    #[test]
    fn depth_and_size_do_no_harm() {
        let depth = 300_000;
        let nested = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(form(&nested), nested);
        // Each level is out of order: moving what is inside at every level would take the square of the size.
        let nested = format!("{}1{}", r#"{"b":"#.repeat(depth), r#","a":0}"#.repeat(depth));
        let sorted = format!("{}1{}", r#"{"a":0,"b":"#.repeat(depth), "}".repeat(depth));
        assert_eq!(form(&nested), sorted);
    }
}
