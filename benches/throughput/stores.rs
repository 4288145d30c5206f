//! The stores that are measured: SQLite on files, and PostgreSQL on a server that this program starts and stops.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

use crate::postgres::Server;
use crate::stage::{Result, folder, runtime};

pub const SQLITE: &str = "sqlite";
pub const POSTGRES: &str = "postgres";

pub enum Store {
    Sqlite,
    Postgres(Server),
}

/// A new file, or a new schema.
pub struct Place {
    pub url: String,
    schema: Option<Schema>,
    _folder: Option<tempfile::TempDir>,
}

struct Schema {
    name: String,
    server: String,
    is_ours: bool,
}

impl Store {
    /// PostgreSQL: as it comes, so with fsync and synchronous_commit on, and its files on a disk.
    /// `STENT_BENCH_POSTGRES` names another server instead.
    pub fn postgres() -> Self {
        Self::Postgres(match std::env::var("STENT_BENCH_POSTGRES") {
            Ok(url) => Server::elsewhere(url),
            Err(_) => Server::at(disk().join(format!("stent-bench-{}", std::process::id())), ""),
        })
    }

    /// Its name, version, and how hard its commits are.
    pub fn headline(&self) -> Result<String> {
        runtime()?.block_on(async {
            match self {
                Self::Sqlite => {
                    let mut conn = SqliteConnection::connect("sqlite::memory:").await?;
                    let version: String = sqlx::query("SELECT sqlite_version()").fetch_one(&mut conn).await?.try_get(0)?;
                    Ok(format!("SQLite {version}, synchronous = FULL"))
                }
                Self::Postgres(server) => {
                    let mut conn = PgConnection::connect(&server.url).await?;
                    let settings = "SELECT current_setting('server_version'), current_setting('fsync'), \
                                    current_setting('synchronous_commit'), current_setting('shared_buffers')";
                    let row = sqlx::query(settings).fetch_one(&mut conn).await?;
                    let [version, fsync, commit, buffers]: [String; 4] = [row.get(0), row.get(1), row.get(2), row.get(3)];
                    Ok(format!(
                        "PostgreSQL {version}, fsync = {fsync}, synchronous_commit = {commit}, shared_buffers = {buffers}"
                    ))
                }
            }
        })
    }

    pub fn place(&self) -> Result<Place> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        match self {
            Self::Sqlite => {
                let folder = folder()?;
                let url = folder.path().join("bench.db").to_str().ok_or("the path is not UTF-8")?.to_owned();
                Ok(Place { url, schema: None, _folder: Some(folder) })
            }
            Self::Postgres(server) => {
                let name = format!("bench_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
                let joint = if server.url.contains('?') { '&' } else { '?' };
                let url = format!("{}{joint}schema={name}", server.url);
                let schema = Schema { name, server: server.url.clone(), is_ours: server.is_ours() };
                Ok(Place { url, schema: Some(schema), _folder: None })
            }
        }
    }
}

impl Place {
    /// A connection to a schema of PostgreSQL, for what the library does not do.
    pub async fn postgres(&self) -> Result<Option<PgConnection>> {
        let Some(schema) = &self.schema else { return Ok(None) };
        let mut conn = PgConnection::connect(&schema.server).await?;
        sqlx::raw_sql(AssertSqlSafe(format!("SET search_path TO {}", schema.name))).execute(&mut conn).await?;
        Ok(Some(conn))
    }

    /// What was left behind goes away, and the server comes to rest: what is measured next does not pay for it.
    pub async fn clear(self) -> Result<()> {
        if let Some(mut conn) = self.postgres().await?
            && let Some(schema) = &self.schema
        {
            sqlx::raw_sql(AssertSqlSafe(format!("DROP SCHEMA {} CASCADE", schema.name))).execute(&mut conn).await?;
            if schema.is_ours {
                sqlx::raw_sql("CHECKPOINT").execute(&mut conn).await?;
            }
            conn.close().await?;
        }
        Ok(())
    }
}

/// A folder that is not in memory, and that the server's user may enter.
fn disk() -> PathBuf {
    std::env::var_os("TMPDIR").map_or_else(|| Path::new("/var/tmp").to_owned(), PathBuf::from)
}
