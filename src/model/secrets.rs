//! Hides passwords in messages, wherever a message contains something that looks like a URL or connection string, and
//! shortens long values of callers.

use std::borrow::Cow;

/// Bytes of a caller's value that a message repeats.
const SHOWN: usize = 200;

/// Bytes of a message. Lists of what is known are shorter.
const MESSAGE: usize = 8_000;

/// The text that replaces a password.
const MASK: &str = "***";

/// What stands for it in a form to fill in, which has nothing to hide.
const FORM: &str = "password";

/// Names whose value is a password, as in `password=…`.
const WORDS: [&str; 2] = ["password", "passwd"];

/// A caller's value as a message repeats it: its beginning, if it is long.
#[must_use]
pub fn shown(value: &str) -> Cow<'_, str> {
    if value.len() <= SHOWN {
        return Cow::Borrowed(value);
    }
    let end = (0..=SHOWN).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
    Cow::Owned(format!("{}… (the first {end} of {} bytes)", &value[..end], value.len()))
}

/// A sentence with the values that it quotes cut to what is shown of them.
#[must_use]
pub fn brief(text: &str) -> Cow<'_, str> {
    if text.len() <= SHOWN {
        return Cow::Borrowed(text);
    }
    let mut told = String::new();
    let mut from = 0;
    while let Some((begin, end)) = quoted(text, from) {
        told.push_str(&text[from..begin]);
        told.push_str(&shown(&text[begin..end]));
        from = end + 1;
        told.push_str(&text[end..from]);
    }
    told.push_str(&text[from..]);
    if told.len() > MESSAGE {
        let end = (0..=MESSAGE).rev().find(|end| told.is_char_boundary(*end)).unwrap_or(0);
        told.truncate(end);
        told.push_str("… (cut off)");
    }
    Cow::Owned(told)
}

/// The next quoted value: no letter is directly before its first quote or after its last.
fn quoted(text: &str, from: usize) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let is_letter =
        |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(|byte| byte.is_ascii_alphanumeric());
    let open = (from..bytes.len()).find(|at| matches!(bytes[*at], b'\'' | b'"') && !is_letter(at.checked_sub(1)))?;
    let last = (open + 1..bytes.len())
        .find(|at| bytes[*at] == bytes[open] && bytes[*at - 1] != b'\\' && !is_letter(Some(*at + 1)))?;
    Some((open + 1, last))
}

/// The text without the passwords in it. It rather hides too much: a password that is pasted as it is may hold any
/// character that ends one elsewhere.
#[must_use]
pub fn masked(text: &str) -> Cow<'_, str> {
    let mut hidden = in_urls(text);
    hidden.extend(bare(text));
    hidden.extend(behind_words(text));
    if hidden.is_empty() {
        return Cow::Borrowed(text);
    }
    hidden.sort_unstable();
    let mut told = String::with_capacity(text.len());
    let mut from = 0;
    for (begin, end) in hidden {
        if begin >= from {
            told.push_str(&text[from..begin]);
            told.push_str(MASK);
        }
        from = from.max(end);
    }
    told.push_str(&text[from..]);
    Cow::Owned(told)
}

/// `scheme://user:…@`, up to the last `@` of the line, or before the next URL in it. Behind two slashes the scheme may be
/// missing or misspelt.
fn in_urls(text: &str) -> Vec<(usize, usize)> {
    let mut hidden = Vec::new();
    let mut from = 0;
    while let Some(found) = [":/", "//"].iter().filter_map(|start| text[from..].find(start)).min() {
        let mut begin = from + found;
        let has_scheme =
            text[begin..].starts_with(':') && text[..begin].ends_with(|last: char| last.is_ascii_alphanumeric());
        begin += usize::from(text[begin..].starts_with(':'));
        let slashes = text[begin..].bytes().take_while(|byte| *byte == b'/').count();
        begin += slashes;
        from = begin;
        if !has_scheme && slashes < 2 {
            continue;
        }
        if let Some((first, last)) = login(own_line(&text[begin..])) {
            if &text[begin + first..begin + last] != FORM {
                hidden.push((begin + first, begin + last));
            }
            from = begin + last;
        }
    }
    hidden
}

/// `user:…@` in a word, without slashes before it. A name in quotes with a value, as in JSON, is no login.
fn bare(text: &str) -> Vec<(usize, usize)> {
    let mut hidden = Vec::new();
    let mut begin = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        let login = word[..word.find("//").unwrap_or(word.len())].match_indices(':').find_map(|(at, _)| {
            let is_value = word[..at].ends_with(['\'', '"']) || word[at + 1..].starts_with(['/', '\'', '"']);
            let length = word[at + 1..].rfind('@').filter(|length| *length > 0 && !is_value)?;
            Some((at + 1, at + 1 + length))
        });
        if let Some((first, last)) = login.filter(|(first, last)| &word[*first..*last] != FORM) {
            hidden.push((begin + first, begin + last));
        }
        begin += word.len();
    }
    hidden
}

/// Up to the end of the line, or to where the next word begins another URL.
fn own_line(rest: &str) -> &str {
    let line = rest.split('\n').next().unwrap_or(rest);
    let next = line.match_indices("://").find_map(|(at, _)| {
        let scheme = line[..at].trim_end_matches(|c: char| c.is_ascii_alphanumeric() || "+-.".contains(c)).len();
        (scheme < at && line[..scheme].ends_with(|c: char| c.is_whitespace() || "'\"(".contains(c))).then_some(scheme)
    });
    &line[..next.unwrap_or(line.len())]
}

/// Finds the password in the text after `://`.
fn login(rest: &str) -> Option<(usize, usize)> {
    let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let colon = rest.find(':')?;
    let host = rest.find(['/', '?', '#', '\'', '"']).unwrap_or(word).min(word);
    // An '@' before any ':' ends a login without a password.
    if rest[..colon].contains('@') || colon > word {
        return None;
    }
    let behind = &rest[colon + 1..];
    let digits = behind.bytes().take_while(u8::is_ascii_digit).count();
    let is_port = behind[digits..].chars().next().is_none_or(|next| "/?#,'\")];. \t".contains(next));
    let end = match rest.rfind('@') {
        // Behind a port, the '@' of another word is not this URL's.
        Some(at) if at > colon && (!is_port || rest[..word].contains('@')) => at,
        // Without an '@', what should be a port and is none.
        _ if !is_port && colon < host => host.max(colon + 1),
        _ => return None,
    };
    Some((colon + 1, end))
}

/// `password=…`, whatever stands around it: a query, a connection string, an environment.
fn behind_words(text: &str) -> Vec<(usize, usize)> {
    let mut hidden = Vec::new();
    let lower = text.to_ascii_lowercase();
    for word in WORDS {
        for (at, _) in lower.match_indices(word) {
            let after = &text[at + word.len()..];
            let Some(value) = after.trim_start().strip_prefix('=') else { continue };
            let value = value.trim_start();
            let begin = text.len() - value.len();
            let in_query = text[..at].rfind(char::is_whitespace).is_none_or(|space| text[space..at].contains('?'))
                && text[..at].contains(['?', '&']);
            let end = match value.strip_prefix('\'') {
                Some(quoted) => 1 + closing(quoted).unwrap_or(quoted.len()),
                None => value.find(|c: char| c.is_whitespace() || (in_query && c == '&')).unwrap_or(value.len()),
            };
            if end > 0 {
                hidden.push((begin, begin + end));
            }
        }
    }
    hidden
}

/// Where a value that began with a `'` ends, with its `'`.
fn closing(quoted: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            '\\' if !escaped => escaped = true,
            '\'' if !escaped => return Some(at + 1),
            _ => escaped = false,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_hidden() {
        for (text, told) in [
            ("postgress://u:SECRET@h/d", "postgress://u:***@h/d"),
            ("open 'redis://:op@n s/e?s#a@h:6/0' and go", "open 'redis://:***@h:6/0' and go"),
            ("postgresql:/u:SECRET@h", "postgresql:/u:***@h"),
            ("postgres://u:123/45@h", "postgres://u:***@h"),
            ("postgres://u:SECRET/d", "postgres://u:***/d"),
            (
                "'x://u:SECRET@h'; it has the form y://user:password@h",
                "'x://u:***@h'; it has the form y://user:password@h",
            ),
            ("a://u:p@h\nb://v:q@i", "a://u:***@h\nb://v:***@i"),
            ("open the file postgresql//u:SECRET@h/d: no", "open the file postgresql//u:***@h/d: no"),
            ("//u:SEC RET@h/d", "//u:***@h/d"),
            ("'//:SECRET@h'", "'//:***@h'"),
            ("://u:SECRET@h", "://u:***@h"),
            ("//u:SECRET/d", "//u:***/d"),
        ] {
            assert_eq!(masked(text), told);
            assert_eq!(masked(&masked(text)), told, "again");
        }
    }

    #[test]
    fn passwords_of_bare_logins_are_hidden() {
        for (text, told) in [
            ("u:SECRET@h/d", "u:***@h/d"),
            ("open the file u_x:S/E@C//R:ET@h:1/d: no", "open the file u_x:***@h:1/d: no"),
            ("open 'me@mail:SECRET@h' and v:SECRET@i", "open 'me@mail:***@h' and v:***@i"),
            ("{\"url\":\"u:SECRET@h\"}", "{\"url\":\"u:***@h\"}"),
            (":SECRET@h", ":***@h"),
            ("it has the form user:password@host", "it has the form user:password@host"),
        ] {
            assert_eq!(masked(text), told);
            assert_eq!(masked(&masked(text)), told, "again");
        }
    }

    #[test]
    fn passwords_behind_words_are_hidden() {
        for (text, told) in [
            ("host=h password=SE&CRET dbname=d", "host=h password=*** dbname=d"),
            ("host=h PassWord = 'a \\' b' dbname=d", "host=h PassWord = *** dbname=d"),
            ("x://h/d?sslpassword=SECRET&user=u", "x://h/d?sslpassword=***&user=u"),
            ("PGPASSWORD=SECRET", "PGPASSWORD=***"),
            ("password='open", "password=***"),
        ] {
            assert_eq!(masked(text), told);
            assert_eq!(masked(&masked(text)), told, "again");
        }
    }

    #[test]
    fn what_holds_no_password_stays() {
        for text in [
            "get http://h:80/x?a=b failed, ask ops@h",
            "postgresql://u@h:5432/d",
            "127.0.0.1:5432",
            "the password is wrong",
            "redis://h",
            "a: b@c",
            "C:/x",
            "postgresql://u@h:5432/d?application_name=a@b",
            "{\"mail\":\"a@b\"}",
            "ask: ops@h // or: me@h",
            "\u{e9}://\u{e9}",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        assert_eq!(shown("short"), "short");
        let long = "\u{20ac}".repeat(100);
        let told = shown(&long);
        assert!(told.starts_with(&"\u{20ac}".repeat(66)) && told.ends_with("… (the first 198 of 300 bytes)"), "{told}");
    }
    #[test]
    fn sentences_are_cut_where_they_quote() {
        let long = "x".repeat(1_000);
        let text = format!("the user's '{long}' and \"{long}\" are not 'known'; known are {}", "a, ".repeat(100));
        let told = brief(&text);
        let cut = format!("{}… (the first 200 of 1000 bytes)", "x".repeat(200));
        assert_eq!(told, format!("the user's '{cut}' and \"{cut}\" are not 'known'; known are {}", "a, ".repeat(100)));
        assert!(brief(&long.repeat(100)).len() < 9_000 && brief(&"' ".repeat(10_000)).len() < 9_000);
    }
}
