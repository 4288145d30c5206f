//! What only PostgreSQL shows: its plans, its schema, its notifications, and what becomes of work when it goes away.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::pin::{Pin, pin};
use std::process::Command;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _, SqlSafeStr as _};
use stent::backend::postgres::Postgres;
use stent::backend::{Backend as _, Commands, Notice};
use stent::model::{ExecutionState, Status};

use crate::house::*;
use crate::places::*;
use crate::postgres::{Server, fresh_url, schema_of as schema_on, shared};

const FOLDER: &str = "src/backend/postgres/sql";

fn schema_of(url: &str) -> &str {
    url.split("schema=").nth(1).unwrap().split('&').next().unwrap()
}

/// A connection beside the store's own, set up like them.
pub async fn beside(url: &str) -> PgConnection {
    let mut conn = PgConnection::connect(&shared().url).await.unwrap();
    let settings = format!(
        "SET search_path TO {}; SET plan_cache_mode TO force_generic_plan; SET enable_seqscan TO off; SET enable_hashjoin \
         TO off; SET enable_mergejoin TO off; SET enable_bitmapscan TO off; SET jit TO off",
        schema_of(url)
    );
    conn.execute(sqlx::raw_sql(AssertSqlSafe(settings))).await.unwrap();
    conn
}

pub fn statement(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join(format!("{name}.sql"))).unwrap()
}

#[test]
fn every_statement_prepares() {
    on_new(async |url| {
        drop(Postgres::open(&url).await.unwrap());
        let mut conn = beside(&url).await;
        let mut problems = Vec::new();
        for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER)).unwrap() {
            let path = file.unwrap().path();
            let sql = fs::read_to_string(&path).unwrap();
            if let Err(why) = (&mut conn).prepare(AssertSqlSafe(sql).into_sql_str()).await {
                problems.push(format!("{}: {why}", path.display()));
            }
        }
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    });
}

/// The statements of the engine's loop, and the indexes that each must go by.
const GROWTH: &[(&str, &[&str])] = &[
    ("tasks_claim_from", &["tasks_ready", "tasks_readied", "tasks_pkey", "executions_pkey"]),
    ("tasks_best_from", &["tasks_ready", "tasks_readied"]),
    ("tasks_count_limited", &["tasks_limited"]),
    ("tasks_due", &["tasks_due"]),
    ("tasks_leases_ended", &["tasks_leased"]),
    ("due_next", &["tasks_due", "tasks_leased", "executions_due", "executions_cleaning"]),
    ("executions_cleanup_over", &["executions_cleaning"]),
    ("executions_clean_up", &["executions_pkey"]),
    ("tasks_rest", &["tasks_pkey", "executions_pkey"]),
    ("tasks_undelivered", &["tasks_journal"]),
    ("tasks_clean_up", &["tasks_pkey", "tasks_journal"]),
    ("executions_expire", &["executions_due"]),
    ("executions_closable", &["executions_ending"]),
    ("executions_close", &["executions_pkey"]),
    ("executions_roots", &["executions_pkey", "tasks_pkey"]),
    ("journals", &["tasks_journal"]),
    ("tasks_arrived_since", &["tasks_journal"]),
    ("tasks_cancel_below", &["tasks_journal", "tasks_pkey", "executions_pkey"]),
    ("tasks_below", &["tasks_journal"]),
    ("tasks_stop", &["tasks_pkey", "executions_pkey"]),
    ("tasks_joining", &["tasks_joining"]),
    ("tasks_leave_lane", &["tasks_ready"]),
    ("signal_take", &["signals_in_order", "tasks_pkey"]),
    ("signal_waits_unseen", &["tasks_journal"]),
    ("tasks_move", &["tasks_pkey", "executions_pkey"]),
    ("tasks_end", &["tasks_pkey", "executions_pkey"]),
    ("tasks_wake", &["tasks_pkey"]),
    ("tasks_renew", &["tasks_pkey", "executions_pkey"]),
    ("tasks_retry", &["tasks_pkey"]),
    ("tasks_standing", &["tasks_pkey", "executions_pkey"]),
    ("waits_get", &["waits_pkey"]),
    ("waits_get_now", &["waits_pkey"]),
    ("waits_lock_now", &["waits_pkey"]),
    ("tasks_lock", &["tasks_pkey"]),
    ("tasks_lock_now", &["tasks_pkey"]),
    ("executions_lock_now", &["executions_pkey"]),
    ("tasks_met_below", &["executions_pkey"]),
    ("waits_save", &["waits_pkey"]),
    ("executions_end", &["executions_pkey"]),
    ("executions_ended", &["executions_pkey"]),
    ("executions_cancelled", &["executions_pkey"]),
    ("executions_tasks", &["tasks_by_execution"]),
    ("execution_snapshot", &["executions_pkey", "tasks_by_execution"]),
    ("idempotency_find", &["idempotency_pkey", "tasks_pkey"]),
    ("idempotency_keep", &["idempotency_pkey", "tasks_pkey"]),
    ("task_path", &["tasks_pkey"]),
    ("tasks_expected", &["tasks_journal"]),
    ("tasks_circle", &["tasks_pkey"]),
    ("executions_over", &["executions_pkey"]),
    ("requests_oldest", &["requests_pkey"]),
    ("requests_of", &["requests_by_execution"]),
    ("executions_list_old", &["executions_by_creation", "executions_ended_before", "dead_letters_by_execution"]),
];

/// Tables that grow.
const TABLES: [&str; 5] = ["tasks", "executions", "waits", "signals", "idempotency"];

/// They hold what goes on just now, so a plan may read all of them.
const SMALL_INDEXES: [&str; 3] = ["tasks_leased", "tasks_parked", "executions_ending"];

/// Where a plan reads more than what it looks for.
fn reads_too_much(plan: &str) -> bool {
    let lines: Vec<&str> = plan.lines().collect();
    (0..lines.len()).any(|at| {
        TABLES.iter().any(|table| {
            let scan = format!("{} ", lines[at]).contains(&format!(" on {table} "));
            let by = |name: &&str| lines[at].contains(&format!(" using {name} "));
            let searches = lines.get(at + 1).is_some_and(|next| next.contains("Index Cond"));
            scan && lines[at].contains("Scan") && !searches && !SMALL_INDEXES.iter().any(by)
        })
    })
}

/// A plan is made once and kept, and what the server believes of the tables at that moment is soon out of date: that they
/// are new; that they are empty, when the last execution was cleaned away; that nothing has children. A kept plan that
/// reads a table which was empty as a whole would be the ruin of the store an hour later.
#[test]
fn what_is_asked_all_the_time_goes_by_an_index_whatever_the_server_believes() {
    on_new(async |url| {
        drop(Postgres::open(&url).await.unwrap());
        let mut conn = beside(&url).await;
        let roots = "INSERT INTO executions (id, created_at, state, root_function)
            SELECT gen_random_uuid(), now(), 'completed', 'f' FROM generate_series(1, 300);
            INSERT INTO tasks (id, execution_id, created_at, state, kind, step_name)
            SELECT gen_random_uuid(), gen_random_uuid(), now(), 'completed', 'orchestrator', 'f'
            FROM generate_series(1, 300)";
        let vacuum = format!("VACUUM (ANALYZE) {}", TABLES.join(", "));
        let mut problems = Vec::new();
        for before in ["SELECT 1", &vacuum, roots, &vacuum] {
            conn.execute(sqlx::raw_sql(AssertSqlSafe(before.to_owned()))).await.unwrap();
            for (name, indexes) in GROWTH {
                let shown = plan(&mut conn, &statement(name)).await;
                // The first entries of three indexes.
                if *name != "due_next" && reads_too_much(&shown) {
                    problems.push(format!("{name}.sql reads too much, after {before}:\n{shown}"));
                }
                for index in indexes.iter().filter(|index| !shown.contains(**index)) {
                    problems.push(format!("{name}.sql does not go by {index}, after {before}:\n{shown}"));
                }
            }
        }
        assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    });
}

/// What waits behind the best is neither sorted nor looked at: what is sorted is what the lanes gave. So it is on the
/// first day, and with a backlog, whether the server has counted it or not.
#[test]
fn a_backlog_is_not_sorted_by_a_claim() {
    on_new(async |url| {
        drop(Postgres::open(&url).await.unwrap());
        let mut conn = beside(&url).await;
        let backlog = "INSERT INTO tasks (id, execution_id, lane, route, created_at, state, kind, step_name)
            SELECT gen_random_uuid(), gen_random_uuid(), 1 + n % 3, 1 + n % 3, now(), 'pending', 'activity', 'f'
            FROM generate_series(1, 20000) AS s (n)";
        for before in ["SELECT 1", backlog, "ANALYZE tasks"] {
            conn.execute(before).await.unwrap();
            let claim = plan(&mut conn, &statement("tasks_claim_from")).await;
            let lines: Vec<&str> = claim.lines().filter(|line| !line.contains("One-Time Filter")).collect();
            let ready: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains("tasks_ready")).collect();
            // Where the living begin, how much of each lane is among the best, and what is locked; each of one priority,
            // or of all.
            assert_eq!(ready.len(), 6, "{claim}");
            for at in ready {
                assert!(lines[at].contains("Scan using tasks_ready"), "{claim}");
                assert!(lines[at - 1].contains("Result"), "{claim}");
                assert!(lines[at - 2].contains("Limit") || lines[at - 2].contains("LockRows"), "{claim}");
            }
        }
    });
}

/// A worker of limited functions pays nothing for what is there for others, be it ready or running: with the planner as it
/// is, and what it does, before the server has counted the rows and after.
#[test]
fn a_claim_of_limited_functions_reads_nothing_of_others() {
    on_new(async |url| {
        drop(Postgres::open(&url).await.unwrap());
        let mut conn = PgConnection::connect(&shared().url).await.unwrap();
        let path = format!("SET search_path TO {}; SET jit TO off", schema_of(&url));
        conn.execute(sqlx::raw_sql(AssertSqlSafe(path))).await.unwrap();
        let execution = "'00000000-0000-7000-8000-000000000007'::uuid";
        let elsewhere = format!(
            "INSERT INTO executions (id, created_at, state, root_function) VALUES ({execution}, now(), 'running', 'f');
            INSERT INTO tasks (id, execution_id, lane, route, created_at, state, kind, step_name)
            SELECT gen_random_uuid(), {execution}, 1 + n % 3, 1 + n % 3, now(), 'pending', 'activity', 'other'
            FROM generate_series(1, 50000) AS s (n);
            INSERT INTO tasks (id, execution_id, created_at, state, kind, step_name, limited, lease_expires_at)
            SELECT gen_random_uuid(), {execution}, now(), 'running', 'activity', 'other', true, now() + interval '1 hour'
            FROM generate_series(1, 50000);
            INSERT INTO tasks (id, execution_id, lane, route, created_at, state, kind, step_name)
            SELECT gen_random_uuid(), {execution}, 7, 7, now(), 'pending', 'activity', 'ours' FROM generate_series(1, 5)"
        );
        for before in [elsewhere.as_str(), "ANALYZE"] {
            conn.execute(sqlx::raw_sql(AssertSqlSafe(before.to_owned()))).await.unwrap();
            for (name, index, values) in [
                (
                    "tasks_best_from",
                    "tasks_ready",
                    "'{7}', '{NULL}', '{9223372036854775807}', '{NULL}', '{}', 8, 8, now()",
                ),
                ("tasks_count_limited", "tasks_limited", "ARRAY['ours'], now()"),
            ] {
                let explain = format!(
                    "PREPARE it AS {}; EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE it({values})",
                    statement(name)
                );
                let rows = conn.fetch_all(sqlx::raw_sql(AssertSqlSafe(explain))).await.unwrap();
                conn.execute(sqlx::raw_sql("DEALLOCATE it")).await.unwrap();
                let shown = rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n");
                assert!(shown.contains(index) && !shown.contains("Seq Scan on tasks"), "{name}:\n{shown}");
                let removes = |scan: &str| scan.contains(" on tasks") && scan.contains("Rows Removed");
                assert!(!shown.split("->").any(removes), "{name} looks at what is not its own:\n{shown}");
                let read = shown.split("actual rows=").skip(1).filter_map(|rest| {
                    rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|number| number.parse::<u32>().ok())
                });
                assert!(read.clone().count() > 0 && read.max() <= Some(5), "{name} reads more than there is:\n{shown}");
            }
        }
    });
}

/// The generic plan, parameters unknown.
async fn plan(conn: &mut PgConnection, sql: &str) -> String {
    let prepare = format!("PREPARE it AS {sql}");
    conn.execute(sqlx::raw_sql(AssertSqlSafe(prepare))).await.unwrap();
    let count: i64 = conn
        .fetch_one(sqlx::raw_sql(
            "SELECT coalesce(array_length(parameter_types, 1), 0)::bigint FROM pg_prepared_statements WHERE name = 'it'",
        ))
        .await
        .unwrap()
        .get(0);
    let nulls = vec!["NULL"; usize::try_from(count).unwrap()].join(", ");
    let execute = if count == 0 { "it".to_owned() } else { format!("it({nulls})") };
    let rows =
        conn.fetch_all(sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE {execute}")))).await.unwrap();
    conn.execute(sqlx::raw_sql("DEALLOCATE it")).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_newer_schema_and_another_programs_are_refused_untouched() {
    on_new(async |url| {
        drop(Postgres::open(&url).await.unwrap());
        let mut conn = beside(&url).await;
        conn.execute("INSERT INTO stent_schema (version, applied_at) VALUES (999, now())").await.unwrap();
        is_status(Postgres::open(&url).await.map(drop), Status::Backend, "the schema has version 999");

        let foreign = fresh_url("");
        let schema = schema_of(&foreign);
        let sql = format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.letters (id bigint)");
        conn.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
        is_status(Postgres::open(&foreign).await.map(drop), Status::Backend, "has tables of its own ('letters')");
    });
}

#[test]
fn many_open_a_new_schema_at_once() {
    on_new(async |url| {
        let opening: Vec<_> = (0..6)
            .map(|_| {
                tokio::spawn({
                    let url = url.clone();
                    async move { Postgres::open(&url).await.map(drop) }
                })
            })
            .collect();
        for open in opening {
            open.await.unwrap().unwrap();
        }
    });
}

#[test]
fn what_one_process_does_wakes_another() {
    on_new(async |url| {
        let (one, two) = (Postgres::open(&url).await.unwrap(), Postgres::open(&url).await.unwrap());
        // Listening begins a moment after the opening.
        let mut notices = two.notices();
        let heard = async {
            loop {
                one.dispatch(vec![new_execution("f", "[]", Default::default())]).await.unwrap();
                let next = tokio::time::timeout(Duration::from_millis(100), notices.recv()).await;
                if matches!(next, Ok(Ok(Notice::Work { .. } | Notice::Foreign))) {
                    return;
                }
            }
        };
        tokio::time::timeout(SOON, heard).await.unwrap();
    });
}

#[test]
fn it_works_without_sessions_and_notifications() {
    on_new(async |url| {
        let store = at(&format!("{url}&statement_cache=0&notify=off&max_queries=20")).await;
        store.worker("w", &["root", "child"]).await;
        for _ in 0..20 {
            let root = store.root("root").await;
            store.complete(&root, "1").await;
            store.is(root.task.execution_id, ExecutionState::Completed).await;
        }
    });
}

/// A connection that is cut is another one; what was recorded stays, and what was not is repeated by its fence.
#[test]
fn connections_that_are_cut_are_made_again() {
    on_new(async |url| {
        let store = at(&format!("{url}&application_name=cut_{}", schema_of(&url))).await;
        store.worker("w", &["root"]).await;
        let mut conn = beside(&url).await;
        for _ in 0..10 {
            let root = store.root("root").await;
            let cut = format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cut_{}'",
                schema_of(&url)
            );
            conn.fetch_all(sqlx::raw_sql(AssertSqlSafe(cut))).await.unwrap();
            let said = || vec![saying(&root, Commands::default(), completed("1"))];
            let mut outcome = store.backend.advance(said(), None).await;
            while let Err(why) = &outcome {
                assert!(why.is_retryable(), "{why}");
                outcome = store.backend.advance(said(), None).await;
            }
            assert!(is_recorded(&outcome.unwrap().0[0]));
            // The answer was lost, for all we know: once more.
            assert!(is_recorded(&store.backend.advance(said(), None).await.unwrap().0[0]));
            store.is(root.task.execution_id, ExecutionState::Completed).await;
        }
    });
}

/// Locks are taken in one order.
#[test]
fn a_crowd_sees_no_deadlock() {
    let server = Server::new("crowd", "");
    on_url(schema_on(&server.url, ""), async |url| {
        let mut conn = PgConnection::connect(&server.url).await.unwrap();
        crate::crowds::nothing_is_lost_in_a_crowd(at(&url).await).await;
        let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        let deadlocks: i64 = conn.fetch_one(sqlx::raw_sql(sql)).await.unwrap().get(0);
        let log = fs::read_to_string(server.folder.join("log")).unwrap();
        assert!(deadlocks == 0 && !log.contains("deadlock detected"), "{log}");
    });
}

/// The server dies in the middle of work and comes back: what was recorded is there, once, and work goes on.
#[test]
fn work_goes_on_when_the_server_comes_back() {
    let mut server = Server::new("crash", "");
    let url = schema_on(&server.url, "&connect_timeout=1");
    on_url(url, async |url| {
        let store = at(&url).await;
        store.worker("w", &["root"]).await;
        let done = store.root("root").await;
        store.complete(&done, "1").await;
        let root = store.root("root").await;
        server.crash();
        let said = || vec![saying(&root, Commands::default(), completed("1"))];
        let why = store.backend.advance(said(), None).await.unwrap_err();
        assert!(why.is_retryable() && why.status() == Status::Backend, "{why}");
        tokio::task::block_in_place(|| server.begin());
        assert!(is_recorded(&store.backend.advance(said(), None).await.unwrap().0[0]));
        store.is(done.task.execution_id, ExecutionState::Completed).await;
        store.is(root.task.execution_id, ExecutionState::Completed).await;
        assert_eq!(store.start("root").await, store.take().await.task.execution_id);
    });
}

/// A certificate for the name `localhost` alone, signed by itself.
fn with_certificate() -> Server {
    let folder = tempfile::tempdir().unwrap();
    let (key, certificate) = (folder.path().join("key.pem"), folder.path().join("certificate.pem"));
    let made = Command::new("openssl")
        .args(["req", "-new", "-x509", "-days", "2", "-nodes", "-newkey", "rsa:2048", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut server = Server::new("tls", "");
    server.crash();
    for name in ["key.pem", "certificate.pem"] {
        let place = server.folder.join(name);
        fs::copy(folder.path().join(name), &place).unwrap();
        let owner = fs::metadata(&server.folder).unwrap();
        let (uid, gid) = (std::os::unix::fs::MetadataExt::uid(&owner), std::os::unix::fs::MetadataExt::gid(&owner));
        chown(&place, Some(uid), Some(gid)).unwrap();
        fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    let settings = format!(
        "ssl = on\nssl_key_file = '{0}/key.pem'\nssl_cert_file = '{0}/certificate.pem'\n",
        server.folder.display()
    );
    let file = server.folder.join("data/postgresql.conf");
    let all = fs::read_to_string(&file).unwrap() + &settings;
    fs::write(&file, all).unwrap();
    server.begin();
    server
}

#[test]
fn certificates_are_looked_at() {
    let server = with_certificate();
    let root = format!("&sslrootcert={}/certificate.pem", server.folder.display());
    let by_name = server.url.replace("127.0.0.1", "localhost");
    on_url(String::new(), async |_| {
        let open = async |server: &str, more: String| Postgres::open(&schema_on(server, &more)).await.map(drop);
        for (url, more) in [
            (&server.url, "&sslmode=require".to_owned()),
            (&server.url, format!("&sslmode=verify-ca{root}")),
            (&by_name, format!("&sslmode=verify-full{root}")),
            (&server.url, "&sslmode=disable".to_owned()),
        ] {
            let opened = open(url, more.clone()).await;
            assert!(opened.is_ok(), "{more}: {opened:?}");
        }
        for (url, more) in [
            // Signed by nobody whose word counts; another name than the certificate's; a server without certificate.
            (&server.url, "&sslmode=verify-ca".to_owned()),
            (&server.url, format!("&sslmode=verify-full{root}")),
        ] {
            let refused = open(url, more.clone()).await;
            assert!(refused.is_err_and(|why| !why.is_retryable()), "{more}");
        }
        if std::env::var_os("STENT_TEST_POSTGRES").is_none() && std::env::var_os("DATABASE_URL").is_none() {
            let why = open(&shared().url, "&sslmode=require".to_owned()).await.unwrap_err();
            assert_eq!(why.status(), Status::Backend, "{why}");
        }
    });
}

#[test]
fn a_server_that_is_not_there_is_a_retryable_error_without_the_password() {
    on_new(async |_| {
        let url = "postgresql://me:opensesame@127.0.0.1:1/none?connect_timeout=0.2";
        let why = Postgres::open(url).await.map(drop).unwrap_err();
        assert_eq!(why.status(), Status::Backend);
        assert!(why.is_retryable() && !format!("{why:?}").contains("opensesame"), "{why:?}");
        assert!(why.message().contains("127.0.0.1:1"), "{why}");
    });
}

pub fn on_new<F: Future<Output = ()>>(test: impl FnOnce(String) -> F) {
    on_url(fresh_url(""), test);
}

fn on_url<F: Future<Output = ()>>(url: String, test: impl FnOnce(String) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // What waits for it is compiled once, and not for each test.
    let test: Pin<&mut dyn Future<Output = ()>> = pin!(test(url));
    runtime.block_on(async { tokio::time::timeout(2 * SOON, test).await.expect("the test hangs") });
}
