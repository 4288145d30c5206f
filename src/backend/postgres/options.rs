//! Where the server is and how it is used: `postgresql://user:password@host:5432/database?name=value`.

use std::fmt;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::model::{Error, Result};

/// What may stand behind the `?`.
const NAMES: &[&str] = &[
    "min_size",
    "max_size",
    "max_queries",
    "max_inactive_connection_lifetime",
    "connect_timeout",
    "sslmode",
    "sslrootcert",
    "schema",
    "statement_cache",
    "notify",
    "host",
    "application_name",
];

/// More than there are files in `sql/`.
const STATEMENTS: usize = 256;

/// PostgreSQL cuts longer names off.
const IDENTIFIER_MAX: usize = 63;

#[derive(Clone)]
pub(super) struct Dsn {
    pub connection: PgConnectOptions,
    pub min_size: u32,
    pub max_size: u32,
    /// Statements on a connection before it is replaced.
    pub max_queries: u64,
    pub max_inactive_connection_lifetime: Duration,
    /// How long a call waits for a connection.
    pub connect_timeout: Duration,
    pub schema: String,
    /// 0 behind a pooler that gives every transaction another connection.
    pub statement_cache: usize,
    /// False: no LISTEN and NOTIFY; other processes' work is found by polling. So it is behind a pooler: LISTEN needs a
    /// session of its own.
    pub notify: bool,
    place: String,
}

impl Dsn {
    /// Errors name what is wrong, and never the password.
    pub fn parse(url: &str) -> Result<Self> {
        let rest = url
            .strip_prefix("postgresql://")
            .or_else(|| url.strip_prefix("postgres://"))
            .ok_or_else(|| wrong("it does not begin with postgresql://"))?;
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
        let mut dsn = Self {
            connection: connection(),
            min_size: 10,
            max_size: 10,
            max_queries: 50_000,
            max_inactive_connection_lifetime: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(10),
            schema: "stent".to_owned(),
            statement_cache: STATEMENTS,
            notify: true,
            place: String::new(),
        };
        if !user.is_empty() {
            dsn.connection = dsn.connection.username(&decoded("the user", user)?);
        }
        if let Some(password) = password {
            dsn.connection = dsn.connection.password(&decoded("the password", password)?);
        }
        let (host, port) = host_and_port(place)?;
        dsn.set_host(&host);
        if let Some(port) = port {
            dsn.connection = dsn.connection.port(port);
        }
        if !database.is_empty() {
            dsn.connection = dsn.connection.database(&decoded("the database", database)?);
        }
        let (mut min_size, mut notify) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decoded("a name", name)?;
            let value = decoded(&name, value)?;
            if name == "min_size" {
                min_size = Some(number(&name, &value)?);
            } else if name == "notify" {
                notify = Some(on_or_off(&name, &value)?);
            } else {
                dsn.set(&name, &value)?;
            }
        }
        dsn.min_size = min_size.unwrap_or(dsn.min_size.min(dsn.max_size));
        if dsn.min_size > dsn.max_size {
            return Err(wrong(&format!("min_size is {} and max_size is {}", dsn.min_size, dsn.max_size))
                .with("key", "min_size"));
        }
        if notify == Some(true) && !dsn.keeps_session() {
            return Err(wrong(
                "notify is on and statement_cache is 0: behind a pooler that works by transactions nobody is listened to; \
                 leave notify out, or give a statement_cache above 0 where there is no such pooler",
            )
            .with("key", "notify"));
        }
        dsn.notify = notify.unwrap_or(dsn.keeps_session());
        dsn.connection = dsn.connection.statement_cache_capacity(dsn.statement_cache);
        Ok(dsn)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "max_size" => self.max_size = at_least_one(name, value)?,
            "max_queries" => self.max_queries = at_least_one(name, value)?,
            "max_inactive_connection_lifetime" => self.max_inactive_connection_lifetime = seconds(name, value)?,
            "connect_timeout" => self.connect_timeout = seconds(name, value)?,
            "sslmode" => {
                let mode = match value {
                    "disable" => PgSslMode::Disable,
                    "prefer" => PgSslMode::Prefer,
                    "require" => PgSslMode::Require,
                    "verify-ca" => PgSslMode::VerifyCa,
                    "verify-full" => PgSslMode::VerifyFull,
                    _ => return Err(one_of(name, value, "disable, prefer, require, verify-ca and verify-full")),
                };
                self.connection = self.connection.clone().ssl_mode(mode);
            }
            "sslrootcert" => {
                let text = std::fs::read(value).map_err(|why| {
                    wrong(&format!("sslrootcert is '{value}', which can't be read: {why}")).with("key", name)
                })?;
                self.connection = self.connection.clone().ssl_root_cert_from_pem(text);
            }
            "schema" => {
                if value.is_empty() || value.len() > IDENTIFIER_MAX || value.starts_with("pg_") || value.contains('\0')
                {
                    return Err(wrong(&format!(
                        "schema is '{value}'; it must have 1 to {IDENTIFIER_MAX} bytes and not begin with pg_"
                    ))
                    .with("key", "schema"));
                }
                self.schema = value.to_owned();
            }
            "statement_cache" => self.statement_cache = number(name, value)?,
            "host" => self.set_host(value),
            "application_name" => self.connection = self.connection.clone().application_name(value),
            _ => {
                let known = NAMES.join(", ");
                return Err(wrong(&format!("'{name}' is not known; known are {known}"))
                    .with("key", name)
                    .with("known", NAMES.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()));
            }
        }
        Ok(())
    }

    /// A path is the folder of a unix socket.
    fn set_host(&mut self, host: &str) {
        let connection = self.connection.clone();
        self.connection = match host {
            "" => connection,
            _ if host.starts_with('/') => connection.socket(host),
            _ => connection.host(host),
        };
        host.clone_into(&mut self.place);
    }

    /// What is set for a session stays set.
    pub fn keeps_session(&self) -> bool {
        self.statement_cache > 0
    }

    /// For messages: where it is, without the password.
    pub fn describe(&self) -> String {
        let host = if self.place.is_empty() { self.connection.get_host() } else { &self.place };
        let database = self.connection.get_database().unwrap_or_else(|| self.connection.get_username());
        format!(
            "the PostgreSQL database '{database}' at {host}:{}, schema '{}'",
            self.connection.get_port(),
            self.schema
        )
    }
}

/// The password is not shown.
impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dsn").field(&self.describe()).finish()
    }
}

fn connection() -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .application_name("stent")
        // A pooler would refuse it, and no number here is a float.
        .extra_float_digits(None)
        .disable_statement_logging()
}

fn wrong(why: &str) -> Error {
    Error::invalid(format!(
        "the PostgreSQL URL is wrong: {why}; it has the form postgresql://user:password@host:port/database?name=value"
    ))
}

fn one_of(name: &str, value: &str, known: &str) -> Error {
    wrong(&format!("{name} is '{value}'; known are {known}")).with("key", name)
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T> {
    value
        .parse()
        .map_err(|_| wrong(&format!("{name} is '{value}'; it must be a whole number, 0 or more")).with("key", name))
}

fn at_least_one<T: std::str::FromStr + PartialOrd + From<u8>>(name: &str, value: &str) -> Result<T> {
    let number = number(name, value)?;
    if number < T::from(1) {
        return Err(wrong(&format!("{name} is {value}; it must be 1 or more")).with("key", name));
    }
    Ok(number)
}

fn on_or_off(name: &str, value: &str) -> Result<bool> {
    match value {
        "on" | "true" | "1" => Ok(true),
        "off" | "false" | "0" => Ok(false),
        _ => Err(one_of(name, value, "on and off")),
    }
}

fn seconds(name: &str, value: &str) -> Result<Duration> {
    let seconds: Option<f64> = value.parse().ok();
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| wrong(&format!("{name} is '{value}'; it must be a number of seconds")).with("key", name))
}

fn host_and_port(place: &str) -> Result<(String, Option<u16>)> {
    // An IPv6 address stands in brackets, and has colons of its own.
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match place.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if !place.starts_with('[') && host.contains(':') {
        return Err(wrong("the host has a ':'; an IPv6 address stands in brackets, and an '@' behind the password"));
    }
    let port = match port.filter(|port| !port.is_empty()) {
        Some(port) => {
            Some(port.parse().map_err(|_| wrong("the port is not a number between 0 and 65535; is an '@' or a ':' of the password not written as %40 or %3A?"))?)
        }
        None => None,
    };
    Ok((decoded("the host", host)?, port))
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn every_part_is_found() {
        let url = "postgresql://u%40x:p%3Aw%40d@[::1]:6543/my%20db?schema=s&max_size=3&notify=off&statement_cache=0\
                   &max_inactive_connection_lifetime=1.5&max_queries=7&sslmode=require";
        let dsn = Dsn::parse(url).unwrap();
        assert_eq!(dsn.connection.get_username(), "u@x");
        assert_eq!((dsn.connection.get_host(), dsn.connection.get_port()), ("::1", 6543));
        assert_eq!(dsn.connection.get_database(), Some("my db"));
        assert_eq!((dsn.min_size, dsn.max_size, dsn.max_queries), (3, 3, 7));
        assert_eq!((dsn.schema.as_str(), dsn.notify, dsn.keeps_session()), ("s", false, false));
        assert_eq!(dsn.max_inactive_connection_lifetime, Duration::from_millis(1500));
        assert!(!dsn.describe().contains("p:w@d"), "{}", dsn.describe());
    }

    #[test]
    fn a_folder_is_a_unix_socket() {
        for url in ["postgresql:///db?host=/run/pg", "postgres://me@%2Frun%2Fpg/db"] {
            let dsn = Dsn::parse(url).unwrap();
            assert_eq!(dsn.connection.get_socket(), Some(&PathBuf::from("/run/pg")));
            assert!(dsn.describe().contains("/run/pg"), "{}", dsn.describe());
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_the_password_is_not() {
        for (query, says) in [
            ("min_sise=1", "'min_sise' is not known; known are min_size, max_size"),
            ("max_size=many", "max_size is 'many'"),
            ("min_size=9&max_size=3", "min_size is 9 and max_size is 3"),
            ("sslmode=allow", "known are disable, prefer"),
            ("schema=", "schema is ''"),
            ("schema=%zz", "two hexadecimal digits"),
            ("statement_cache=0&notify=on", "notify is on and statement_cache is 0"),
            ("notify=on&statement_cache=0", "notify is on and statement_cache is 0"),
        ] {
            let error = Dsn::parse(&format!("postgresql://me:secret@host/db?{query}")).unwrap_err();
            assert!(error.message().contains(says), "{error}");
            assert!(!error.message().contains("secret"), "{error}");
        }
        assert!(!Dsn::parse("postgresql://me:se:cret@ho:st/db").unwrap_err().message().contains("cret"));
    }
}
