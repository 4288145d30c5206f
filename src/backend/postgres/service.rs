//! Where libpq's users keep what they do not write into a URL: service files, the environment, password files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::written::wrong;
use crate::model::Result;

/// Values by libpq's words, and by those of this library.
pub(super) type Given = BTreeMap<String, String>;

/// Environment variables.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// `PGSERVICE` and those that name files are read apart; `PGOPTIONS` is read by the driver.
const VARIABLES: &[(&str, &str)] = &[
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGAPPNAME", "application_name"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGLOADBALANCEHOSTS", "load_balance_hosts"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLCRL", "sslcrl"),
    ("PGSSLCRLDIR", "sslcrldir"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"),
    ("PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGREQUIREAUTH", "require_auth"),
    ("PGREQUIREPEER", "requirepeer"),
    ("PGGSSENCMODE", "gssencmode"),
];

/// Adds what is not given: from the service that is named, then from the environment.
pub(super) fn complete(given: &mut Given, env: Env) -> Result<()> {
    let file = given.remove("servicefile");
    if let Some(name) = given.remove("service").or_else(|| env("PGSERVICE")) {
        for (word, value) in service(&name, &service_files(file, env))? {
            given.entry(word).or_insert(value);
        }
    }
    let named = given.contains_key("host");
    for (variable, word) in VARIABLES {
        // An address from outside is not that of a host that is given.
        if given.contains_key(*word) || (named && *word == "hostaddr") {
            continue;
        }
        if let Some(value) = env(variable).filter(|value| !value.is_empty()) {
            given.insert((*word).to_owned(), value);
        }
    }
    Ok(())
}

pub(super) fn in_home(env: Env, name: &str) -> Option<PathBuf> {
    env("HOME").filter(|home| !home.is_empty()).map(|home| Path::new(&home).join(name))
}

fn service_files(named: Option<String>, env: Env) -> Vec<PathBuf> {
    let own = named.or_else(|| env("PGSERVICEFILE")).map(PathBuf::from).or_else(|| in_home(env, ".pg_service.conf"));
    let folder = env("PGSYSCONFDIR").unwrap_or_else(|| "/etc/postgresql-common".to_owned());
    own.into_iter().chain([Path::new(&folder).join("pg_service.conf")]).collect()
}

/// What the first file with this service says of it.
fn service(name: &str, files: &[PathBuf]) -> Result<Vec<(String, String)>> {
    for file in files {
        let Ok(text) = fs::read_to_string(file) else { continue };
        if let Some(found) = section(&text, name) {
            return found.map_err(|line| {
                wrong(&format!(
                    "line {line} of the service file '{}' is no name=value, or names another service",
                    file.display()
                ))
                .with("key", "service")
            });
        }
    }
    let looked = files.iter().map(|file| format!("'{}'", file.display())).collect::<Vec<_>>().join(", ");
    Err(wrong(&format!("there is no service '{name}' in {looked}, or no such file can be read")).with("key", "service"))
}

type Section = std::result::Result<Vec<(String, String)>, usize>;

/// `[name]`, and lines of `name=value`. The error is the number of a line.
fn section(text: &str, name: &str) -> Option<Section> {
    let lines = (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let mut inside =
        lines.skip_while(|(_, line)| line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) != Some(name));
    inside.next()?;
    let own = inside.take_while(|(_, line)| !line.starts_with('['));
    Some(
        own.map(|(number, line)| match line.split_once('=') {
            Some((word, value)) if !word.starts_with("service") => {
                Ok((word.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err(number),
        })
        .collect(),
    )
}

/// Whom a password is for.
pub(super) struct Login<'a> {
    /// A folder, for a socket.
    pub host: &'a str,
    pub port: u16,
    pub database: &'a str,
    pub user: &'a str,
}

/// The password that the file has for this login, as libpq finds it. A file that others may read is refused.
pub(super) fn password(passfile: Option<&str>, env: Env, login: &Login) -> Result<Option<String>> {
    let Some(file) = passfile.map(PathBuf::from).or_else(|| in_home(env, ".pgpass")) else { return Ok(None) };
    let Ok(text) = fs::read_to_string(&file) else { return Ok(None) };
    let Some(found) = text.lines().find_map(|line| matching(line, login)) else { return Ok(None) };
    let mode = fs::metadata(&file).map_or(0, |file| file.permissions().mode());
    if mode & 0o077 != 0 {
        let file = file.display();
        return Err(wrong(&format!("the password file '{file}' may be read by others; say: chmod 600 '{file}'"))
            .with("key", "passfile"));
    }
    Ok(Some(found))
}

/// `host:port:database:user:password`; `*` is any, `\` takes the next character as it is.
fn matching(line: &str, login: &Login) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut escaped = false;
    for c in line.trim_end_matches('\r').chars() {
        let last = fields.len() - 1;
        match c {
            '\\' if !escaped => escaped = true,
            ':' if !escaped && last < 4 => fields.push(String::new()),
            c => {
                fields[last].push(c);
                escaped = false;
            }
        }
    }
    let [host, port, database, user, password] = fields.try_into().ok()?;
    let is = |field: &str, value: &str| field == "*" || field == value;
    let here = login.host.starts_with('/') && host == "localhost";
    let fits = (here || is(&host, login.host))
        && is(&port, &login.port.to_string())
        && is(&database, login.database)
        && is(&user, login.user);
    fits.then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(host: &str) -> Login<'_> {
        Login { host, port: 5432, database: "d", user: "u" }
    }

    #[test]
    fn passwords_are_found_as_libpq_finds_them() {
        for (line, host, found) in [
            ("h:5432:d:u:p:w", "h", Some("p:w")),
            (r"*:*:*:*:a\\b\:c", "h", Some(r"a\b:c")),
            (r"\:\:1:*:*:u:p", "::1", Some("p")),
            ("localhost:5432:d:u:p", "/run/postgresql", Some("p")),
            ("h:5433:d:u:p", "h", None),
            ("h:5432:d:v:p", "h", None),
            ("#h:5432:d:u:p", "h", None),
            ("h:5432:d:u", "h", None),
        ] {
            assert_eq!(matching(line, &login(host)).as_deref(), found, "{line}");
        }
    }

    #[test]
    fn a_service_is_a_section() {
        let text = "# ours\n[a]\nhost=h\n\n[b]\nhost = i\npassword=a=b\n#x\n[c]\nnothing\n";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(section(text, "a"), Some(Ok(vec![pair("host", "h")])));
        assert_eq!(section(text, "b"), Some(Ok(vec![pair("host", "i"), pair("password", "a=b")])));
        assert_eq!(section(text, "c"), Some(Err(10)));
        assert_eq!(section(text, "d"), None);
    }

    #[test]
    fn what_is_given_counts_more_than_a_service_and_that_more_than_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("services");
        fs::write(&file, "[s]\nhost=of-service\nuser=of-service\n").unwrap();
        let env = |name: &str| match name {
            "PGSERVICEFILE" => Some(file.display().to_string()),
            "PGSERVICE" => Some("s".to_owned()),
            "PGHOST" | "PGHOSTADDR" | "PGUSER" | "PGDATABASE" => Some("of-env".to_owned()),
            _ => None,
        };
        let mut given = Given::from([("user".to_owned(), "given".to_owned())]);
        complete(&mut given, &env).unwrap();
        let all: Vec<_> = given.iter().map(|(word, value)| (word.as_str(), value.as_str())).collect();
        assert_eq!(all, [("dbname", "of-env"), ("host", "of-service"), ("user", "given")]);
        let mut given = Given::from([("service".to_owned(), "t".to_owned())]);
        let why = complete(&mut given, &env).unwrap_err();
        assert!(why.message().contains("there is no service 't'"), "{why}");
    }

    #[test]
    fn a_password_file_is_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pass");
        fs::write(&file, "h:5432:d:u:sesam\n").unwrap();
        let look = |mode| {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            password(file.to_str(), &|_| None, &login("h"))
        };
        assert_eq!(look(0o600).unwrap().as_deref(), Some("sesam"));
        let why = look(0o644).unwrap_err();
        assert!(why.message().contains("chmod 600") && !why.message().contains("sesam"), "{why}");
        assert_eq!(password(Some("/nowhere"), &|_| None, &login("h")).unwrap(), None);
    }
}
