//! What libpq's users write: password files, services, lists of servers, certificates, settings of the session.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use stent::backend::postgres::Postgres;
use stent::backend::{Backend as _, Request};
use stent::model::Status;

use crate::authority::with_authority;
use crate::postgres::{Server, schema_of};
use crate::urls::{SECRET, on, open, told, with_password};

#[test]
fn passwords_stand_in_files_services_and_lists_of_words() {
    on(async {
        let server = with_password("files").await;
        let folder = tempfile::tempdir().unwrap();
        let (passwords, services) = (folder.path().join("passwords"), folder.path().join("services"));
        let (pass, service) = (passwords.display(), services.display());
        let port = server.port;
        let escaped = SECRET.replace('\\', "\\\\").replace(':', "\\:");
        fs::write(&passwords, format!("# ours\n127.0.0.1:{port}:*:keeper:{escaped}\n")).unwrap();
        fs::set_permissions(&passwords, fs::Permissions::from_mode(0o600)).unwrap();
        let section = format!("[ours]\nhost=127.0.0.1\nport={port}\nuser=keeper\ndbname=postgres\npassfile={pass}\n");
        fs::write(&services, section).unwrap();

        let place = format!("127.0.0.1:{port}/postgres");
        let by_file = format!("postgresql://keeper@{place}?passfile={pass}");
        open(&schema_of(&by_file, "")).await.unwrap();
        open(&schema_of(&format!("POSTGRES://?service=ours&servicefile={service}"), "")).await.unwrap();
        let quoted = SECRET.replace('\\', "\\\\").replace('\'', "\\'");
        let words = format!(
            "host = 127.0.0.1 port={port} dbname=postgres user=keeper password='{quoted}' schema=in_words min_size=0"
        );
        open(&words).await.unwrap();

        let (status, text) = told(open(&words.replace("keeper", "nobody")).await);
        assert_eq!(status, Status::Backend, "{text}");
        assert!(!text.contains("op@n") && !text.contains("s/e"), "{text}");
        let (status, text) = told(open(&format!("{by_file}&service=others&servicefile={service}")).await);
        assert_eq!(status, Status::Invalid, "{text}");
        assert!(text.contains("there is no service 'others'"), "{text}");
        fs::set_permissions(&passwords, fs::Permissions::from_mode(0o640)).unwrap();
        let (status, text) = told(open(&by_file).await);
        assert_eq!(status, Status::Invalid, "{text}");
        assert!(text.contains("chmod 600") && !text.contains("op@n"), "{text}");
    });
}

#[test]
fn the_first_server_that_serves_is_taken() {
    on(async {
        let server = Server::new("several", "");
        let standby = Server::new("read-only", "default_transaction_read_only = on");
        let url = format!("postgresql://stent@127.0.0.1:1,127.0.0.1:{}/postgres?schema=first&min_size=0", server.port);
        open(&url).await.unwrap();
        let ports = format!("{},{}", standby.port, server.port);
        let list = |more: &str| {
            format!("host=127.0.0.1,127.0.0.1 port={ports} user=stent dbname=postgres schema=second min_size=0 {more}")
        };
        let (_, text) = told(open(&list("")).await);
        assert!(text.contains("read-only"), "{text}");
        open(&list("target_session_attrs=read-write")).await.unwrap();
        let mut conn = PgConnection::connect(&server.url).await.unwrap();
        let sql = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('first', 'second')";
        assert_eq!(conn.fetch_one(sqlx::raw_sql(sql)).await.unwrap().get::<i64, _>(0), 2);

        let nobody = "postgresql://stent:sesam@127.0.0.1:1,127.0.0.1:2/postgres?connect_timeout=1";
        let why = Postgres::open(nobody).await.map(drop).unwrap_err();
        assert!(why.is_retryable() && why.message().contains("127.0.0.1:1, 127.0.0.1:2"), "{why}");
    });
}

#[test]
fn a_server_that_takes_over_is_found() {
    on(async {
        let mut server = Server::new("over", "");
        let next = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let first = server.port;
        let url =
            format!("postgresql://stent@127.0.0.1:{first},127.0.0.1:{next}/postgres?min_size=0&connect_timeout=30");
        let store = Postgres::open(&url).await.unwrap();
        server.crash();
        let file = server.folder.join("data/postgresql.conf");
        let settings = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{settings}\nport = {next}\n")).unwrap();
        server.port = next;
        tokio::task::block_in_place(|| server.begin());
        let key = "k".to_owned();
        store.call(Request::SetCachedResult { key, value: b"1".to_vec().into(), ttl: None }).await.unwrap();
        store.call(Request::Close {}).await.unwrap();
    });
}

#[test]
fn certificates_are_shown_and_looked_at() {
    let server = with_authority();
    let place = server.folder.display();
    let own = format!("&sslcert={place}/client.pem&sslkey={place}/client.key");
    on(async {
        let open = async |more: String| open(&schema_of(&server.url, &more)).await;
        for more in [
            format!("&sslmode=require{own}"),
            // Without TLS first, which is refused.
            format!("&sslmode=allow{own}"),
            format!("&sslmode=require&sslrootcert={place}/ca.pem{own}"),
            format!("&sslmode=verify-full&sslrootcert={place}/ca.pem{own}"),
        ] {
            let opened = open(more.clone()).await;
            assert!(opened.is_ok(), "{more}: {opened:?}");
        }
        for (more, status) in [
            ("&sslmode=require".to_owned(), Status::Backend),
            ("&sslmode=disable".to_owned(), Status::Backend),
            // One who did not sign the server's: with a file, `require` looks.
            (format!("&sslmode=require&sslrootcert={place}/client.pem{own}"), Status::Backend),
            (format!("&sslmode=require&sslcert={place}/client.pem"), Status::Invalid),
            (format!("&sslmode=require&sslrootcert=system{own}"), Status::Invalid),
        ] {
            let (found, text) = told(open(more.clone()).await);
            assert_eq!(found, status, "{more}: {text}");
        }
    });
}

#[test]
fn settings_of_the_session_are_passed_on() {
    on(async {
        let server = Server::new("settings", "");
        let (_, text) = told(open(&schema_of(&server.url, "&options=-c%20default_transaction_read_only%3Don")).await);
        assert!(text.contains("read-only"), "{text}");
        open(&schema_of(&server.url, "&options=-c%20default_transaction_read_only%3Doff")).await.unwrap();
    });
}
