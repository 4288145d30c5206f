//! The connection of the store's own: what goes in comes out, and which thread does the work.

use std::sync::Mutex;
use std::thread;

use super::super::conn::{Connection, Missing, Table};
use super::*;

fn memory() -> Connection {
    let mut conn = Connection::open(c":memory:", Missing::Create, SECOND).unwrap();
    conn.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); -- the last statement has a word after it\n").unwrap();
    conn
}

const PUT: &str = "INSERT INTO t (a, b) VALUES (?1, ?2)";
const ALL: &str = "SELECT a, b FROM t ORDER BY id";

#[test]
fn what_is_empty_is_not_null() {
    let mut conn = memory();
    let mut put = conn.statement(PUT).unwrap();
    put.text(1, "").unwrap();
    put.bytes(2, b"").unwrap();
    assert_eq!(put.run(None).unwrap(), 1);
    put.made(1, "made").unwrap();
    put.null(2).unwrap();
    // There is no such place, as of a lease of which only a part is used.
    put.int(3, 7).unwrap();
    assert_eq!(put.run(None).unwrap(), 1);
    drop(put);
    let table = conn.query(ALL, &[]).unwrap();
    assert_eq!(table.rows(), 2);
    assert_eq!((table.text(0), table.bytes(1)), (Ok(Some("")), Ok(Some(&b""[..]))));
    assert_eq!((table.text(2), table.bytes(3)), (Ok(Some("made")), Ok(None)));
}

#[test]
fn a_statement_forgets_what_it_was_given_before() {
    let mut conn = memory();
    {
        let value = "gone".to_owned();
        let mut put = conn.statement(PUT).unwrap();
        put.text(1, &value).unwrap();
        put.run(None).unwrap();
    }
    conn.statement(PUT).unwrap().run(None).unwrap();
    let table = conn.query(ALL, &[]).unwrap();
    assert_eq!((table.text(0), table.text(2)), (Ok(Some("gone")), Ok(None)));
}

#[test]
fn a_text_of_two_statements_changes_the_rows_that_it_has_asked_for() {
    const TAKE: &str =
        "SELECT a, id AS number FROM t WHERE a >= ?1 ORDER BY id; UPDATE t SET b = a + ?2 WHERE id = @number";
    let mut conn = memory();
    conn.execute("INSERT INTO t (a) VALUES (1), (2), (3)").unwrap();
    let mut table = Table::default();
    let mut take = conn.statement(TAKE).unwrap();
    take.int(1, 2).unwrap();
    take.int(2, 10).unwrap();
    assert_eq!(take.run(Some(&mut table)).unwrap(), 2);
    drop(take);
    // The number is no part of the answer.
    assert_eq!((table.rows(), table.int(0), table.int(1)), (2, Ok(Some(2)), Ok(Some(3))));
    assert_eq!(conn.number("SELECT group_concat(b) = '12,13' FROM t").unwrap(), Some(1));
}

#[test]
fn what_is_refused_has_sqlites_code_and_leaves_the_statement_usable() {
    let mut conn = memory();
    conn.execute("CREATE UNIQUE INDEX once ON t (a)").unwrap();
    let mut put = conn.statement(PUT).unwrap();
    put.int(1, 1).unwrap();
    put.run(None).unwrap();
    let why = put.run(None).unwrap_err();
    is(&why, Status::Conflict, "a row of this identity exists already");
    put.int(1, 2).unwrap();
    assert_eq!(put.run(None).unwrap(), 1);
    drop(put);
    is(&conn.execute("SELECT missing").unwrap_err(), Status::Backend, "no such column: missing");
    let missing = Connection::open(c"/no/such/folder/a.db", Missing::Create, SECOND);
    is(&missing.err().unwrap(), Status::Backend, "can't be opened");
}

/// On which thread it is written, and read.
async fn places(store: &Sqlite) -> [String; 2] {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let here = |seen: &Mutex<Vec<String>>| seen.lock().unwrap().push(format!("{:?}", thread::current().id()));
    let written = seen.clone();
    let write = store.write((), move |_, _| {
        here(&written);
        Box::pin(async { Ok(()) })
    });
    write.await.unwrap();
    let read = seen.clone();
    let look = store.read((), move |_, _| {
        here(&read);
        Box::pin(async { Ok(()) })
    });
    look.await.unwrap();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.try_into().unwrap()
}

/// A lone call wakes nobody. What must not wait is done elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_may_block_works_itself() {
    on_both(async |store| {
        let own = format!("{:?}", thread::current().id());
        assert_eq!(places(&store.sqlite).await, [own.clone(), own]);
        let sqlite = store.sqlite.clone();
        let (own, seen) = tokio::spawn(async move {
            let own = format!("{:?}", thread::current().id());
            (own, places(&sqlite).await)
        })
        .await
        .unwrap();
        assert!(!seen.contains(&own), "{own} {seen:?}");
    })
    .await;
}

/// Of a transaction that panics its own caller hears, whichever thread ran it; the others are served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_a_transaction_ends_no_writer() {
    on_both(async |store| {
        let panics = async |sqlite: Arc<Sqlite>| {
            let write = sqlite.write((), |_, _| Box::pin(async { if true { panic!("on purpose") } else { Ok(()) } }));
            tokio::time::timeout(10 * SECOND, write).await.unwrap()
        };
        let writes = async |sqlite: Arc<Sqlite>| {
            let write = sqlite.write((), |_, _| Box::pin(async { Ok(()) }));
            tokio::time::timeout(10 * SECOND, write).await.unwrap()
        };
        for _ in 0..2 {
            is(&panics(store.sqlite.clone()).await.unwrap_err(), Status::Panic, "on purpose");
            writes(store.sqlite.clone()).await.unwrap();
            let sqlite = store.sqlite.clone();
            let why = tokio::spawn(async move { panics(sqlite).await }).await.unwrap().unwrap_err();
            is(&why, Status::Panic, "on purpose");
            let sqlite = store.sqlite.clone();
            tokio::spawn(async move { writes(sqlite).await }).await.unwrap().unwrap();
        }
    })
    .await;
}
