//! The servers that a URL names, in the order in which they are tried, with user and password for each.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use super::error;
use super::service::{self, Env, Given, Login};
use super::written::wrong;
use crate::model::{Error, Result};

/// Never empty.
#[derive(Clone)]
pub(super) struct Hosts {
    all: Vec<PgConnectOptions>,
    /// Only a server that accepts writes is taken.
    writable: bool,
}

impl Hosts {
    pub fn new(all: Vec<PgConnectOptions>, writable: bool) -> Self {
        Self { all, writable }
    }

    pub fn first(&self) -> &PgConnectOptions {
        &self.all[0]
    }

    /// Changes all of them alike.
    pub fn each(&mut self, mut change: impl FnMut(PgConnectOptions) -> PgConnectOptions) {
        self.all = std::mem::take(&mut self.all).into_iter().map(&mut change).collect();
    }

    /// For messages.
    pub fn places(&self) -> String {
        let mut places: Vec<String> = Vec::new();
        for one in &self.all {
            let place = format!("{}:{}", one.get_host(), one.get_port());
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places.join(", ")
    }

    /// A server must be checked before it is taken.
    pub fn must_be_writable(&self) -> bool {
        self.writable
    }

    /// True: the server has to be chosen, and may be another one later.
    pub fn is_choice(&self) -> bool {
        self.all.len() > 1 || self.writable
    }

    /// Finds the first server that answers and is writable, if it must be. With only one server none is asked.
    pub async fn find(&self, patience: Duration) -> Result<Option<PgConnectOptions>> {
        if self.is_choice() { self.try_all(patience).await.map(Some) } else { Ok(None) }
    }

    /// Why there is no way to a server, if that is so: a pool only says that it has waited in vain.
    pub async fn why_not(&self, patience: Duration) -> Option<Error> {
        self.try_all(patience).await.err().filter(error::is_refused)
    }

    async fn try_all(&self, patience: Duration) -> Result<PgConnectOptions> {
        let mut first = None;
        for one in &self.all {
            let tried = tokio::time::timeout(patience, self.try_one(one)).await;
            let why = match tried {
                Ok(Ok(())) => return Ok(one.clone()),
                Ok(Err(why)) => why,
                Err(_) => {
                    Error::backend("the server does not answer in time").retryable(true).with("connection", "cut")
                }
            };
            first.get_or_insert(why.doing(&format!("{}:{}", one.get_host(), one.get_port())));
        }
        let why = first.unwrap_or_else(|| Error::backend("no server is named"));
        if !self.is_choice() {
            return Err(why);
        }
        Err(why.doing(&format!("none of {} ways to a server leads to one that serves", self.all.len())))
    }

    async fn try_one(&self, one: &PgConnectOptions) -> Result<()> {
        let mut conn: PgConnection = one.connect().await.map_err(error::connecting)?;
        let serves = if self.writable { is_writable(&mut conn).await } else { Ok(true) };
        // The connection was a test only.
        let _closed = conn.close().await;
        if serves.map_err(error::map("look at the server"))? {
            return Ok(());
        }
        Err(Error::backend("the server is read-only: a standby, perhaps").retryable(true).with("connection", "cut"))
    }
}

pub(super) async fn is_writable(conn: &mut PgConnection) -> sqlx::Result<bool> {
    Ok(sqlx::query(include_str!("sql/server_is_writable.sql")).fetch_one(conn).await?.get("writable"))
}

/// The servers given by `host`, `hostaddr`, `port`, `user`, `password`, `dbname` and `passfile`.
pub(super) fn named(given: &Given, env: Env, connection: &PgConnectOptions) -> Result<Vec<PgConnectOptions>> {
    let text = |word: &str| given.get(word).map_or("", String::as_str);
    let list = |word: &str| text(word).split(',').map(str::trim).collect::<Vec<_>>();
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    if !text("host").is_empty() && !text("hostaddr").is_empty() && hosts.len() != addresses.len() {
        return Err(count("hostaddr", addresses.len(), hosts.len()));
    }
    let servers = hosts.len().max(addresses.len());
    if ports.len() != 1 && ports.len() != servers {
        return Err(count("port", ports.len(), servers));
    }
    let mut all = Vec::new();
    for at in 0..servers {
        let host = hosts.get(at).copied().unwrap_or("");
        let address = addresses.get(at).copied().filter(|address| !address.is_empty()).unwrap_or(host);
        if !host.is_empty() && address != host && text("sslmode") == "verify-full" {
            return Err(wrong(
                "sslmode=verify-full looks for the name that is connected to in the certificate; with it leave hostaddr out",
            )
            .with("key", "hostaddr"));
        }
        let port = ports.get(at).or(ports.first()).copied().unwrap_or("");
        all.push(server(given, env, connection.clone(), (host, address), port)?);
    }
    Ok(all)
}

fn server(
    given: &Given,
    env: Env,
    mut connection: PgConnectOptions,
    (host, address): (&str, &str),
    port: &str,
) -> Result<PgConnectOptions> {
    connection = match address {
        "" => connection,
        _ if address.starts_with('/') => connection.socket(address).host(address),
        _ => connection.host(address),
    };
    if !port.is_empty() {
        let port = port.parse().map_err(|_| {
            wrong(&format!("port is '{port}'; it must be a number between 0 and 65535")).with("key", "port")
        })?;
        connection = connection.port(port);
    }
    if let Some(user) = given.get("user") {
        connection = connection.username(user);
    }
    if let Some(database) = given.get("dbname") {
        connection = connection.database(database);
    }
    if let Some(password) = given.get("password") {
        return Ok(connection.password(password));
    }
    let login = Login {
        host: if host.is_empty() { connection.get_host() } else { host },
        port: connection.get_port(),
        database: connection.get_database().unwrap_or(connection.get_username()),
        user: connection.get_username(),
    };
    let found = service::password(given.get("passfile").map(String::as_str), env, &login)?;
    Ok(match found {
        Some(password) => connection.password(&password),
        None => connection,
    })
}

fn count(word: &str, found: usize, servers: usize) -> Error {
    wrong(&format!("{word} names {found}, and there are {servers} servers; name one for each")).with("key", "host")
}
