//! The options of a PostgreSQL URL: which servers, and how they are used.

use std::fmt;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use super::hosts::{self, Hosts};
use super::service::{self, Env, Given};
use super::silence::Limits;
use super::written::{self, wrong};
use super::{tls, words};
use crate::codec::POSTGRES_OPTIONS;
use crate::model::{CONNECTIONS_MAX, Error, Result, nearest, parse_duration};

/// libpq's options that are supported, with the same meaning.
const LIBPQ: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "passfile",
    "service",
    "servicefile",
    "fallback_application_name",
    "options",
    "target_session_attrs",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
];

/// Prepared statements kept for each connection: more than there are files in `sql/`.
const STATEMENTS: usize = 256;

/// PostgreSQL truncates longer names.
const IDENTIFIER_MAX: usize = 63;

#[derive(Clone)]
pub(super) struct Dsn {
    /// How to connect to the server that is named first, or that was found to be usable.
    pub connection: PgConnectOptions,
    pub hosts: Hosts,
    pub min_size: u32,
    pub max_size: u32,
    /// Statements on a connection before it is replaced.
    pub max_queries: u64,
    pub max_inactive_connection_lifetime: Duration,
    /// How long a call waits for a connection.
    pub connect_timeout: Duration,
    /// How long a call waits for an answer.
    pub call_timeout: Duration,
    pub schema: String,
    /// Prepared statements kept; 0 behind a pooler that runs each transaction on another connection.
    pub statement_cache: usize,
    /// False: LISTEN and NOTIFY are not used, and work of other processes is found by polling. False behind a pooler,
    /// because LISTEN needs a session of its own.
    pub notify: bool,
}

impl Dsn {
    /// Errors say what is wrong without the password.
    pub fn parse(url: &str) -> Result<Self> {
        Self::read(url, &|name| std::env::var(name).ok())
    }

    fn read(url: &str, env: Env) -> Result<Self> {
        let pairs = written::pairs(url)?;
        if !url.contains("://")
            && let Some((name, _)) = pairs.iter().find(|(name, _)| !is_known(name))
        {
            return Err(unknown(name, "; a SQLite file whose name has a '=' is written with sqlite: before it"));
        }
        // The last value of a name counts. An empty value of a libpq option counts as not given.
        let mut given: Given =
            pairs.into_iter().filter(|(name, value)| !value.is_empty() || !is_libpqs(name)).collect();
        service::complete(&mut given, env)?;
        let hosts = Self::hosts(&given, env)?;
        let mut dsn = Self {
            connection: hosts.first().clone(),
            hosts,
            min_size: 10,
            max_size: 10,
            max_queries: 50_000,
            max_inactive_connection_lifetime: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(30),
            schema: "stent".to_owned(),
            statement_cache: STATEMENTS,
            notify: true,
        };
        let (mut min_size, mut notify) = (None, None);
        for (name, value) in &given {
            match name.as_str() {
                "min_size" => min_size = Some(number(name, value)?),
                "notify" => notify = Some(on_or_off(name, value)?),
                _ => dsn.set(name, value)?,
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
        dsn.hosts.each(|one| one.statement_cache_capacity(dsn.statement_cache));
        dsn.connection = dsn.hosts.first().clone();
        Ok(dsn)
    }

    /// How to connect to each of the servers.
    fn hosts(given: &Given, env: Env) -> Result<Hosts> {
        let mut connection = connection();
        let name = given.get("application_name").or_else(|| given.get("fallback_application_name"));
        if let Some(name) = name {
            connection = connection.application_name(name);
        }
        if let Some(options) = given.get("options") {
            connection = connection.options(words::settings(options)?);
        }
        let mut all = Vec::new();
        for way in tls::ways(given, env, connection)? {
            all.extend(hosts::named(given, env, &way)?);
        }
        let writable = given.get("target_session_attrs").is_some_and(|attrs| attrs != "any");
        Ok(Hosts::new(all, writable))
    }

    /// Chooses the server, if several are named.
    pub async fn find(&mut self) -> Result<()> {
        if let Some(found) = self.hosts.find(self.connect_timeout).await? {
            self.connection = found;
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "max_size" => {
                self.max_size = at_least_one(name, value)?;
                if self.max_size > CONNECTIONS_MAX {
                    let told = format!("max_size is {value}; it must be at most {CONNECTIONS_MAX}");
                    return Err(wrong(&told).with("key", name));
                }
            }
            "max_queries" => self.max_queries = at_least_one(name, value)?,
            "max_inactive_connection_lifetime" => self.max_inactive_connection_lifetime = duration(name, value)?,
            "connect_timeout" => self.connect_timeout = limit(name, value)?,
            "call_timeout" => self.call_timeout = limit(name, value)?,
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
            _ if words::is_so_anyway(name, value)? || is_libpqs(name) || name == "application_name" => {}
            _ => return Err(unknown(name, "")),
        }
        Ok(())
    }

    /// The time limits for answers.
    pub fn limits(&self) -> Limits {
        Limits::new(self.call_timeout, self.connect_timeout)
    }

    /// Do sessions keep their settings? Not behind a pooler.
    pub fn keeps_session(&self) -> bool {
        self.statement_cache > 0
    }

    /// The store's place without the password, for messages.
    pub fn describe(&self) -> String {
        let database = self.connection.get_database().unwrap_or_else(|| self.connection.get_username());
        format!("the PostgreSQL database '{database}' at {}, schema '{}'", self.hosts.places(), self.schema)
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
        // A pooler would refuse this setting, and no statement here answers a number that needs it.
        .extra_float_digits(None)
        .disable_statement_logging()
}

fn is_libpqs(name: &str) -> bool {
    LIBPQ.contains(&name)
}

fn is_known(name: &str) -> bool {
    POSTGRES_OPTIONS.contains(&name) || words::WORDS.iter().any(|(known, _, _)| *known == name)
}

fn unknown(name: &str, hint: &str) -> Error {
    let near = nearest(name, POSTGRES_OPTIONS.iter().copied());
    let known_are = near.map_or_else(|| "; known".into(), |near| format!("; did you mean '{near}'? Known"));
    let error = wrong(&format!("'{name}' is not known{known_are} are {}{hint}", POSTGRES_OPTIONS.join(", ")));
    near.map_or(error.clone(), |near| error.with("nearest", near))
        .with("key", name)
        .with("known", POSTGRES_OPTIONS.iter().copied().map(str::to_owned).collect::<Vec<_>>())
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

fn duration(name: &str, value: &str) -> Result<Duration> {
    parse_duration(value).map_err(|why| wrong(&format!("{name}: {}", why.message())).with("key", name))
}

/// How long a call waits. For libpq 0 is no limit: whoever writes it means anything but "at once".
fn limit(name: &str, value: &str) -> Result<Duration> {
    let limit = duration(name, value)?;
    if limit.is_zero() {
        let told = format!("{name} is 0, and a call waits for a limited time; for a very long one write 1d");
        return Err(wrong(&told).with("key", name));
    }
    Ok(limit)
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

    /// stent_describe tells of every option, with the default that is in force.
    #[test]
    fn the_options_are_those_that_are_described() {
        for name in POSTGRES_OPTIONS {
            let why = Dsn::read(&format!("postgresql://h/d?{name}=1"), &|_| None).err();
            assert!(!why.is_some_and(|why| why.message().contains("is not known")), "{name}");
        }
        assert!(LIBPQ.iter().all(|name| POSTGRES_OPTIONS.contains(name)));
        let dsn = Dsn::read("postgresql://h/d", &|_| None).unwrap();
        let seconds = |duration: Duration| format!("{:?}", duration.as_secs_f64());
        for (name, kind, default) in [
            ("min_size", "integer", dsn.min_size.to_string()),
            ("max_size", "integer", dsn.max_size.to_string()),
            ("max_queries", "integer", dsn.max_queries.to_string()),
            ("max_inactive_connection_lifetime", "duration", seconds(dsn.max_inactive_connection_lifetime)),
            ("connect_timeout", "duration", seconds(dsn.connect_timeout)),
            ("call_timeout", "duration", seconds(dsn.call_timeout)),
            ("schema", "string", format!("\"{}\"", dsn.schema)),
            ("statement_cache", "integer", dsn.statement_cache.to_string()),
        ] {
            let due = format!("\"name\":\"{name}\",\"type\":\"{kind}\",\"required\":false,\"default\":{default},");
            assert!(crate::codec::describe().contains(&due), "{due}");
        }
    }

    #[test]
    fn times_are_durations_like_all_others() {
        let dsn = Dsn::parse("postgresql://h/d?call_timeout=1m&connect_timeout=2.5").unwrap();
        assert_eq!((dsn.call_timeout, dsn.connect_timeout), (Duration::from_secs(60), Duration::from_millis(2500)));
        for (value, says) in [("17000000000000000000", "too long"), ("-1", "negative"), ("soon", "a number is missing")]
        {
            let error = Dsn::parse(&format!("postgresql://h/d?call_timeout={value}")).unwrap_err();
            assert!(error.message().contains("call_timeout") && error.message().contains(says), "{error}");
        }
    }

    #[test]
    fn schemes_have_no_case() {
        for url in ["Postgresql://h/d", "POSTGRES://h/d"] {
            assert_eq!(Dsn::parse(url).unwrap().connection.get_database(), Some("d"), "{url}");
        }
    }

    #[test]
    fn key_value_strings_are_understood() {
        let dsn =
            Dsn::parse(r" host = h port=6543 user=u dbname='my \'d\\b' password=p\ w schema=s max_size = 3").unwrap();
        assert_eq!((dsn.connection.get_host(), dsn.connection.get_port()), ("h", 6543));
        assert_eq!((dsn.connection.get_username(), dsn.connection.get_database()), ("u", Some(r"my 'd\b")));
        assert_eq!((dsn.schema.as_str(), dsn.max_size), ("s", 3));
        for (text, says) in
            [("host=h dbname", "'=' is missing"), ("host='h", "no ' ends"), ("name=x", "'name' is not known")]
        {
            let error = Dsn::parse(text).unwrap_err();
            assert!(error.message().contains(says), "{error}");
        }
    }

    #[test]
    fn a_query_may_name_what_stands_before_it() {
        let dsn = Dsn::parse("postgresql://?user=u&port=6543&dbname=d&host=h&password=p").unwrap();
        assert_eq!((dsn.connection.get_host(), dsn.connection.get_port()), ("h", 6543));
        assert_eq!((dsn.connection.get_username(), dsn.connection.get_database()), ("u", Some("d")));
    }

    #[test]
    fn several_hosts_have_a_port_each_or_one_for_all() {
        let places = |url: &str| Dsn::parse(url).unwrap().hosts.places();
        assert_eq!(places("postgresql://a:1,b:2/d"), "a:1, b:2");
        assert_eq!(places("postgresql://a,[::1]:2/d?port=7"), "a:7, ::1:7");
        assert_eq!(places("host=a,/run/pg port=1,2"), "a:1, /run/pg:2");
        assert_eq!(places("host=name hostaddr=10.0.0.1 port=1"), "10.0.0.1:1");
    }

    #[test]
    fn the_server_is_verified_where_libpq_verifies_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".postgresql")).unwrap();
        let modes = |query: &str| {
            let env = |name: &str| (name == "HOME").then(|| folder.path().display().to_string());
            let dsn = Dsn::read(&format!("postgresql://h/d?{query}"), &env).unwrap();
            let mut modes = Vec::new();
            dsn.hosts.clone().each(|one| {
                modes.push(format!("{:?}", one.get_ssl_mode()));
                one
            });
            modes
        };
        assert_eq!(modes("sslmode=require"), ["Require"]);
        assert_eq!(modes("sslmode=allow"), ["Disable", "Require"]);
        assert_eq!(modes("sslrootcert=system"), ["VerifyFull"]);
        std::fs::write(folder.path().join(".postgresql/root.crt"), "").unwrap();
        assert_eq!(modes("sslmode=require"), ["VerifyCa"]);
        assert_eq!(modes(""), ["Prefer"]);
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
            ("min_sise=1", "'min_sise' is not known; did you mean 'min_size'? Known are min_size, max_size"),
            ("max_size=many", "max_size is 'many'"),
            ("min_size=9&max_size=3", "min_size is 9 and max_size is 3"),
            ("sslmode=alow", "known are disable, allow"),
            ("gssencmode=require", "GSSAPI is not spoken here"),
            ("sslcert=/nowhere", "can't be read"),
            (
                "keepalives=1",
                "keepalives=1 can't be done here (known: 0): the client's socket has no settings; call_timeout",
            ),
            ("port=1,2", "port names 2, and there are 1 servers"),
            ("call_timeout=0", "call_timeout is 0, and a call waits for a limited time; for a very long one write 1d"),
            (
                "connect_timeout=0",
                "connect_timeout is 0, and a call waits for a limited time; for a very long one write 1d",
            ),
            ("connect_timeout=0s", "connect_timeout is 0"),
            ("call_timeout=soon", "call_timeout: 'soon' is not a duration"),
            ("schema=", "schema is ''"),
            ("schema=%zz", "two hexadecimal digits"),
            ("statement_cache=0&notify=on", "notify is on and statement_cache is 0"),
            ("notify=on&statement_cache=0", "notify is on and statement_cache is 0"),
        ] {
            let error = Dsn::parse(&format!("postgresql://me:secret@host/db?{query}")).unwrap_err();
            assert!(error.message().contains(says), "{error}");
            assert!(!error.message().contains("secret"), "{error}");
        }
        for url in ["postgresql:/me:secret@h/d", "postgres:/h/d?schema=s", "postgresql:me:secret@h"] {
            let error = Dsn::parse(url).unwrap_err();
            assert!(error.message().contains("it does not begin with postgresql://"), "{error}");
            assert!(!error.message().contains("secret"), "{error}");
        }
        assert!(!Dsn::parse("postgresql://me:se:cret@ho:st/db").unwrap_err().message().contains("cret"));
    }
}
