//! How a server is named: sockets, passwords, every option; and that no password is told to anybody.

use std::fs;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use stent::backend::Backend as _;
use stent::backend::postgres::Postgres;
use stent::model::{Result, Status};

use crate::postgres::{Server, schema_of};

/// Every character that means something in a URL, or in SQL.
pub const SECRET: &str = "op@n:s/e?s#a%m e'&=\u{e9}";
const ENCODED: &str = "op%40n%3As%2Fe%3Fs%23a%25m%20e%27%26%3D%C3%A9";

pub async fn open(url: &str) -> Result<()> {
    let store = Postgres::open(url).await?;
    store.call(stent::backend::Request::Close {}).await.map(drop)
}

/// A server that asks this role for its password.
pub async fn with_password(name: &str) -> Server {
    let mut server = Server::new(name, "");
    let mut conn = PgConnection::connect(&server.url).await.unwrap();
    let sql = format!(
        "CREATE ROLE keeper LOGIN PASSWORD '{}'; GRANT CREATE ON DATABASE postgres TO keeper; CREATE DATABASE \"a/b c\" OWNER \
         keeper",
        SECRET.replace('\'', "''")
    );
    for statement in sql.split("; ") {
        conn.execute(sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))).await.unwrap();
    }
    conn.close().await.unwrap();
    server.crash();
    let file = server.folder.join("data/pg_hba.conf");
    let trusting = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("local all keeper scram-sha-256\nhost all keeper all scram-sha-256\n{trusting}")).unwrap();
    server.begin();
    server
}

/// What an error says, everywhere in it.
pub fn told(outcome: Result<()>) -> (Status, String) {
    let why = outcome.unwrap_err();
    (why.status(), format!("{why} {why:?}"))
}

pub fn on<F: Future<Output = ()>>(test: F) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
}

#[test]
fn passwords_are_decoded_asked_for_and_never_told() {
    on(async {
        let server = with_password("password").await;
        let port = server.port;
        let good = format!("postgresql://keeper:{ENCODED}@127.0.0.1:{port}/postgres");
        open(&schema_of(&good, "")).await.unwrap();
        open(&schema_of(&format!("postgresql://keeper:{ENCODED}@127.0.0.1:{port}/a%2Fb%20c"), "")).await.unwrap();
        // By the server's socket, which is named by its folder.
        let folder = server.folder.display();
        open(&schema_of(&format!("postgresql://keeper:{ENCODED}@:{port}/postgres?host={folder}"), "")).await.unwrap();
        let encoded = server.folder.display().to_string().replace('/', "%2F");
        open(&schema_of(&format!("postgresql://keeper:{ENCODED}@{encoded}:{port}/postgres"), "")).await.unwrap();

        let refused = [
            (
                format!("postgresql://keeper:{ENCODED}x@127.0.0.1:{port}/postgres"),
                Status::Backend,
                "user or the password",
            ),
            (format!("postgresql://keeper:{ENCODED}@127.0.0.1:{port}/nowhere"), Status::Backend, "no such database"),
            (
                format!("postgresql://keeper:{ENCODED}@127.0.0.1:1/x?connect_timeout=0.2"),
                Status::Backend,
                "127.0.0.1:1",
            ),
            (format!("{good}?sslmode=require"), Status::Backend, "secure connection"),
            (
                format!("{good}?sslmode=verify-full&sslrootcert=/nowhere"),
                Status::Invalid,
                "'/nowhere', which can't be read",
            ),
            (format!("{good}?pool_size=3"), Status::Invalid, "'pool_size' is not known; known are min_size, max_size"),
            (format!("{good}?statement_cache=0&notify=on"), Status::Invalid, "statement_cache is 0"),
            (
                format!("postgresql://keeper:{ENCODED}@127.0.0.1:{port}0000/postgres"),
                Status::Invalid,
                "the port is not",
            ),
            (
                format!("postgresql://keeper:{ENCODED}%zz@127.0.0.1:{port}/postgres"),
                Status::Invalid,
                "hexadecimal digits",
            ),
            // Not encoded, as it is pasted.
            (format!("postgresql://keeper:{SECRET}@127.0.0.1:{port}/postgres"), Status::Invalid, "write / as %2F"),
            (
                format!("postgresql://keeper:op@n:sesam@127.0.0.1:{port}/postgres"),
                Status::Backend,
                "user or the password",
            ),
        ];
        for (url, status, says) in refused {
            let (found, text) = told(open(&url).await);
            assert_eq!(found, status, "{url}: {text}");
            assert!(text.contains(says), "{url}: {text}");
            for part in [SECRET, ENCODED, "op@n", "op%40", "n:s", "sesam"] {
                assert!(!text.contains(part), "tells the password: {text}");
            }
        }
        let log = fs::read_to_string(server.folder.join("log")).unwrap();
        assert!(!log.contains(SECRET) && !log.contains(ENCODED), "{log}");
    });
}

#[test]
fn every_option_is_taken() {
    on(async {
        let server = Server::new("options", "");
        let url = format!(
            "postgres://stent@localhost:{}/postgres?min_size=1&max_size=3&max_queries=9&max_inactive_connection_lifetime=2.5\
             &connect_timeout=4&call_timeout=7&sslmode=prefer&schema=of%20its%20own&statement_cache=16&notify=off&application_name=named",
            server.port
        );
        let store = Postgres::open(&url).await.unwrap();
        let mut conn = PgConnection::connect(&server.url).await.unwrap();
        let sql = "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = 'of its own'), \
                   (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'named') > 0";
        let begin = std::time::Instant::now();
        loop {
            let row = conn.fetch_one(sqlx::raw_sql(sql)).await.unwrap();
            assert_eq!(sqlx::Row::get::<i64, _>(&row, 0), 1);
            // The connection that is kept is made after the opening.
            if sqlx::Row::get(&row, 1) {
                break;
            }
            assert!(begin.elapsed().as_secs() < 20, "no connection has the name");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        store.call(stent::backend::Request::Close {}).await.unwrap();
    });
}
