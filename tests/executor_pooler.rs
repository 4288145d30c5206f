//! The executor behind a pooler that works by transactions: nothing that a session keeps is there in the next
//! transaction, and what other clients have left in the session is.

#[path = "executor/ends.rs"]
mod ends;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "executor/house.rs"]
mod house;
#[path = "common/pgbouncer.rs"]
mod pgbouncer;
#[allow(dead_code, reason = "other tests use more of it")]
#[path = "common/postgres.rs"]
mod postgres;
#[path = "executor/waits.rs"]
mod waits;
#[path = "executor/workers.rs"]
mod workers;

use std::sync::OnceLock;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, Executor as _, PgConnection};
use stent::backend::NewSignal;
use stent::backend::postgres::Postgres;
use stent::model::{CallOptions, Failure, WaitSignalOptions};

use crate::house::{Count, House, SOON, text, tries};
use crate::pgbouncer::Pooler;
use crate::postgres::{Server, schema_of};

const KIND: house::Kind = house::Kind::Postgres { fresh_url, lend: || (fresh_url(), None) };

fn fresh_url() -> String {
    schema_of(&pooler().url, "")
}

/// Fewer than the connections of one store.
const SESSIONS: usize = 4;

struct Place {
    pooler: Pooler,
    server: Server,
}

static PLACE: OnceLock<Place> = OnceLock::new();

fn place() -> &'static Place {
    PLACE.get_or_init(|| {
        let server = Server::new("pooled", "");
        let pooler = Pooler::new(&server, "shared", SESSIONS);
        Place { pooler, server }
    })
}

fn pooler() -> &'static Pooler {
    &place().pooler
}

/// Another client of the pooler.
async fn other_client(pooler: &Pooler) -> PgConnection {
    let options: PgConnectOptions = pooler.url.split('?').next().unwrap().parse().unwrap();
    // The pooler knows no such parameter.
    PgConnection::connect_with(&options.extra_float_digits(None)).await.unwrap()
}

/// Leaves its own settings in every session of the server that it meets, as careless clients do.
async fn spoil(pooler: &Pooler) -> PgConnection {
    let mut conn = other_client(pooler).await;
    for _ in 0..20 * SESSIONS {
        let settings = "SET search_path TO nowhere; SET plan_cache_mode TO force_custom_plan; SET enable_indexscan TO off; \
                        PREPARE sqlx_s_1 AS SELECT 1";
        // The name is taken where it has been before.
        let _known = conn.execute(sqlx::raw_sql(settings)).await;
    }
    conn
}

#[test]
fn a_workflow_runs_through_a_pooler() {
    let house = House::new();
    let mut careless = house.on(spoil(pooler()));
    let tried = Count::default();
    let runs = tried.clone();
    house.function_with("charge", tries(5), move |task| {
        if runs.up() < 3 {
            return task.fail(Failure::new("Busy", "the gateway is busy"));
        }
        task.complete(task.args())
    });
    house.function("order", |task| {
        let first = task.call("charge", "[1]".into(), CallOptions::default())?;
        task.sleep(Duration::from_millis(50), None)?;
        let go = task.wait_signal("go", WaitSignalOptions::default())?;
        let args = (0..20).map(|number| format!("[{number}]").into()).collect();
        let all = task.map("charge", args, CallOptions::default())?;
        task.complete(format!("[{}, {}, {}]", text(&first), text(&go), all.len()).into())
    });
    let worker = house.worker(8);
    let ids: Vec<_> = (0..10).map(|_| house.dispatch("order", "[]")).collect();
    for id in &ids {
        let signal = NewSignal { execution: *id, name: "go".into(), payload: "\"go\"".into(), id: None };
        house.on(house.executor.signal(signal)).unwrap();
    }
    for id in ids {
        assert_eq!(text(&house.result(id).unwrap()), "[[1], \"go\", 20]");
    }
    assert_eq!(tried.get(), 10 * 21 + 2);
    house.on(worker.stop(SOON)).unwrap();
    house.on(careless.ping()).unwrap();
}

/// Every session of the server is used by many, and none is left with what we have set, prepared, locked or listened to.
#[test]
fn nothing_is_left_in_the_servers_sessions() {
    let pooler = Pooler::new(&place().server, "clean", 1);
    let url = schema_of(&pooler.url, "");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Postgres::open(&url).await.unwrap();
        let backend: stent::backend::SharedBackend = store;
        let id = stent::model::execution_id(stent::model::Timestamp::from_micros(1_700_000_000_000_000), [7; 10]);
        let new = stent::backend::NewExecution {
            id,
            function: "f".to_owned(),
            args: "[]".into(),
            options: Default::default(),
            args_hash: [0; 32],
            registered: None,
        };
        backend.dispatch(vec![new]).await.unwrap();
        let signal = NewSignal { execution: id, name: "go".into(), payload: "1".into(), id: None };
        backend.signal(signal).await.unwrap();
        assert!(backend.snapshot(id).await.unwrap().is_some());
        let mut conn = other_client(&pooler).await;
        let left = "SELECT current_setting('search_path') || ' ' || current_setting('enable_seqscan') || ' ' \
                    || current_setting('idle_in_transaction_session_timeout') || ' ' \
                    || (SELECT count(*) FROM pg_prepared_statements WHERE name <> '') || ' ' \
                    || (SELECT count(*) FROM pg_listening_channels()) || ' ' \
                    || (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())";
        let row = conn.fetch_one(sqlx::raw_sql(left)).await.unwrap();
        assert_eq!(sqlx::Row::get::<String, _>(&row, 0), "\"$user\", public on 0 0 0 0", "{}", pooler.log());
    });
}
