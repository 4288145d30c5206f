//! Queues that are shared out: what a dispatch costs where much waits, and that no transaction waits for another's end before its
//! own.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

use crate::house::House;
use crate::plain_sql::{Client, schema_of_url};
use crate::postgres::{fresh_url, shared};

const WAITING: i64 = 100_000;

async fn run(conn: &mut PgConnection, sql: &str) {
    conn.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
}

async fn number(conn: &mut PgConnection, sql: &str) -> i64 {
    conn.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap().get(0)
}

fn insert(keys: &str, count: i64) -> String {
    format!(
        "INSERT INTO tasks (id, execution_id, step_name, kind, state, lane, route, created_at, fairness_key)
         SELECT gen_random_uuid(), gen_random_uuid(), 'f', 'activity', 'pending', r.id, r.id, clock_timestamp(), {keys}
         FROM generate_series(1, {count}) AS n, routes AS r WHERE r.function = 'f'"
    )
}

#[test]
fn a_place_is_given_without_a_look_at_what_waits() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.on(async {
        let mut conn = PgConnection::connect(&shared().url).await.unwrap();
        run(&mut conn, &format!("SET search_path TO \"{}\"", schema_of_url(&url))).await;
        run(&mut conn, "INSERT INTO routes (function) VALUES ('f'), ('')").await;
        run(&mut conn, &insert("'full'", WAITING)).await;
        run(&mut conn, &insert("'k' || n", WAITING / 10)).await;
        assert_eq!(number(&mut conn, "SELECT count(*) FROM tasks WHERE shared_at IS NULL").await, 0);
        let read = "SELECT (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint
                    FROM pg_stat_xact_user_tables WHERE relname = 'tasks' AND schemaname = current_schema()";
        for vacuum in [None, Some("VACUUM ANALYZE tasks")] {
            if let Some(vacuum) = vacuum {
                run(&mut conn, vacuum).await;
            }
            for key in ["'full'", "'k7'", "'new'"] {
                run(&mut conn, "BEGIN").await;
                let before = number(&mut conn, read).await;
                run(&mut conn, &insert(key, 1)).await;
                run(&mut conn, "SET CONSTRAINTS ALL IMMEDIATE").await;
                let after = number(&mut conn, read).await;
                run(&mut conn, "COMMIT").await;
                assert!(after - before < 20, "{} rows are read for {key}, {vacuum:?}", after - before);
            }
        }
        let places = number(&mut conn, "SELECT count(DISTINCT shared_at) FROM tasks WHERE fairness_key = 'full'").await;
        assert_eq!(places, WAITING + 2, "each has its own");
        conn.close().await.unwrap();
    });
}

const OF_A: &str = "{\"fairness_key\": \"a\"}";
const OF_B: &str = "{\"fairness_key\": \"b\"}";

#[test]
fn who_dispatches_for_keys_waits_for_nobody_before_his_end() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.on(async {
        let (one, other) = (Client::of(&url).await, Client::of(&url).await);
        // From here on the queue is known to be shared out.
        one.dispatch("f", "[]", OF_A).await.unwrap();
        one.say("BEGIN").await;
        other.say("BEGIN").await;
        one.dispatch("f", "[]", OF_A).await.unwrap();
        // In the other order, and it ends first.
        other.dispatch("f", "[]", OF_B).await.unwrap();
        other.dispatch("f", "[]", OF_A).await.unwrap();
        other.say("COMMIT").await;
        one.dispatch("f", "[]", OF_B).await.unwrap();
        one.say("COMMIT").await;
        let places = "SELECT count(DISTINCT (fairness_key, shared_at))::text FROM stent.tasks";
        assert_eq!(one.one(places).await, "5", "none has another's place");
    });
}
