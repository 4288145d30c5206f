//! What the caller has written, a URL or libpq's `name=value name='value'`, as names and values in libpq's words.

use crate::model::{Error, Result};

/// Names with their values, in order: a later one counts.
pub(super) type Pairs = Vec<(String, String)>;

pub(super) fn wrong(why: &str) -> Error {
    Error::invalid(format!(
        "the PostgreSQL URL is wrong: {why}; it has the form postgresql://user:password@host:port/database?name=value"
    ))
}

/// Errors name what is wrong, and never the password.
pub(super) fn pairs(text: &str) -> Result<Pairs> {
    let text = text.trim_start();
    match text.split_once("://") {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("postgresql") || scheme.eq_ignore_ascii_case("postgres") =>
        {
            url(rest)
        }
        _ => words(text),
    }
}

fn url(rest: &str) -> Result<Pairs> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    if rest[end..].contains('@') {
        return Err(wrong(
            "an '@' stands behind the first '/', '?' or '#'; in the password and elsewhere write / as %2F, ? as %3F, # as \
             %23 and @ as %40",
        ));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = match login.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (login, None),
    };
    let mut pairs = Pairs::new();
    let mut add = |name: &str, what: &str, value: &str| -> Result<()> {
        pairs.push((name.to_owned(), decoded(what, value)?));
        Ok(())
    };
    if !user.is_empty() {
        add("user", "the user", user)?;
    }
    if let Some(password) = password {
        add("password", "the password", password)?;
    }
    // Several servers are given as a list; a port that is left out is an empty one.
    let servers = place.split(',').map(host_and_port).collect::<Result<Vec<_>>>()?;
    let list = |part: fn(&(&str, &str)) -> String| servers.iter().map(part).collect::<Vec<_>>().join(",");
    let (hosts, ports) = (list(|(host, _)| (*host).to_owned()), list(|(_, port)| (*port).to_owned()));
    if servers.iter().any(|(host, _)| !host.is_empty()) {
        add("host", "the host", &hosts)?;
    }
    if servers.iter().any(|(_, port)| !port.is_empty()) {
        add("port", "the port", &ports)?;
    }
    if !database.is_empty() {
        add("dbname", "the database", database)?;
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decoded("a name", name)?;
        add(&name, &name, value)?;
    }
    Ok(pairs)
}

fn host_and_port(place: &str) -> Result<(&str, &str)> {
    // An IPv6 address stands in brackets, and has colons of its own.
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or("")),
        None => place.rsplit_once(':').unwrap_or((place, "")),
    };
    if !place.starts_with('[') && host.contains(':') {
        return Err(wrong("the host has a ':'; an IPv6 address stands in brackets, and an '@' behind the password"));
    }
    if !port.is_empty() && port.parse::<u16>().is_err() {
        return Err(wrong(
            "the port is not a number between 0 and 65535; is an '@' or a ':' of the password not written as %40 or %3A?",
        ));
    }
    Ok((host, port))
}

/// `%2F` is `/`, and so on.
fn decoded(what: &str, text: &str) -> Result<String> {
    let broken = || {
        wrong(&format!("{what} has a '%' that two hexadecimal digits do not follow, or is not UTF-8; write % as %25"))
    };
    if text.contains('\0') || text.contains("%00") {
        return Err(wrong(&format!("{what} has a NUL character")));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return Err(broken()) };
        let digit =
            |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).ok_or_else(broken);
        bytes.push(digit(*high)? * 16 + digit(*low)?);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| broken())
}

/// As libpq reads it: white space may stand around the `=`, a `\` takes the next character as it is, and a value with
/// white space stands in `'`.
fn words(text: &str) -> Result<Pairs> {
    let mut pairs = Pairs::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let name = &rest[..end];
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(wrong("it does not begin with postgresql://, and is no list of name=value"));
        }
        let Some(value) = rest[end..].trim_start().strip_prefix('=') else {
            return Err(wrong("in a list of name=value an '=' is missing; a value with white space stands in '…'"));
        };
        let (value, behind) = value_of(name, value.trim_start())?;
        pairs.push((name.to_owned(), value));
        rest = behind.trim_start();
    }
    Ok(pairs)
}

/// The value, and what stands behind it.
fn value_of<'a>(name: &str, text: &'a str) -> Result<(String, &'a str)> {
    let (quoted, text) = match text.strip_prefix('\'') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            value.push(c);
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if quoted && c == '\'' {
            return Ok((value, &text[at + 1..]));
        } else if !quoted && c.is_whitespace() {
            return Ok((value, &text[at..]));
        } else {
            value.push(c);
        }
    }
    if quoted {
        return Err(wrong(&format!("no ' ends the value of '{name}'")).with("key", name));
    }
    Ok((value, ""))
}
