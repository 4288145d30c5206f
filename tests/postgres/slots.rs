//! Slots of keys: what they cost where many wait, and that they are exact where many write at once.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

use crate::house::House;
use crate::postgres::{fresh_url, shared};

const WAITING: i64 = 100_000;

fn name_of(url: &str) -> &str {
    url.split("schema=").nth(1).unwrap().split('&').next().unwrap()
}

async fn connect(schema: &str) -> PgConnection {
    let mut conn = PgConnection::connect(&shared().url).await.unwrap();
    conn.execute(sqlx::raw_sql(AssertSqlSafe(format!("SET search_path TO \"{schema}\"")))).await.unwrap();
    conn
}

async fn run(conn: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    conn.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.map(drop)
}

async fn number(conn: &mut PgConnection, sql: &str) -> i64 {
    conn.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap().get(0)
}

/// Tasks of these keys, ready as far as they get slots.
fn insert(keys: &str, count: i64) -> String {
    format!(
        "INSERT INTO tasks (id, execution_id, step_name, kind, state, lane, route, created_at, concurrency_key)
         SELECT gen_random_uuid(), gen_random_uuid(), 'f', 'activity', 'pending', 1, 1, clock_timestamp(), {keys}
         FROM generate_series(1, {count}) AS n"
    )
}

#[test]
fn a_slot_is_given_and_a_task_begun_without_a_look_at_who_waits() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.on(async {
        let mut conn = connect(name_of(&url)).await;
        run(&mut conn, "INSERT INTO functions (name, max_concurrent_per_key) VALUES ('f', 1)").await.unwrap();
        run(&mut conn, &insert("'full'", WAITING)).await.unwrap();
        run(&mut conn, &insert("'k' || n", 1_000)).await.unwrap();
        assert_eq!(number(&mut conn, "SELECT count(*) FROM tasks WHERE lane IS NOT NULL").await, 1_001);
        let read = "SELECT (coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint
                    FROM pg_stat_xact_user_tables WHERE relname = 'tasks' AND schemaname = current_schema()";
        for vacuum in [None, Some("VACUUM ANALYZE tasks")] {
            if let Some(vacuum) = vacuum {
                run(&mut conn, vacuum).await.unwrap();
            }
            for what in [
                "UPDATE tasks SET state = 'completed', lane = NULL WHERE id = (
                     SELECT id FROM tasks
                     WHERE step_name = 'f' AND concurrency_key = 'full' AND slot = 1)"
                    .to_owned(),
                insert("'full'", 1),
                insert("'new'", 1),
            ] {
                run(&mut conn, "BEGIN").await.unwrap();
                let before = number(&mut conn, read).await;
                run(&mut conn, &what).await.unwrap();
                // Then the end has nothing left to do.
                run(&mut conn, "SELECT slots_settle(); SET CONSTRAINTS ALL IMMEDIATE").await.unwrap();
                let after = number(&mut conn, read).await;
                run(&mut conn, "COMMIT").await.unwrap();
                assert!(after - before < 20, "{} rows are read by {what}, {vacuum:?}", after - before);
            }
        }
        conn.close().await.unwrap();
    });
}

#[test]
fn a_token_is_taken_and_given_without_a_look_at_who_waits() {
    let url = fresh_url("");
    let house = House::at(&url);
    house.on(async {
        let mut conn = connect(name_of(&url)).await;
        run(&mut conn, "INSERT INTO functions (name, key_interval, key_burst) VALUES ('f', 3600000000, 1)")
            .await
            .unwrap();
        run(&mut conn, &insert("'full'", WAITING)).await.unwrap();
        run(&mut conn, &insert("'k' || n", 1_000)).await.unwrap();
        let ready = "SELECT count(*) FROM tasks WHERE lane IS NOT NULL AND slot = 3";
        assert_eq!(number(&mut conn, ready).await, 1_001);
        let read = "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint
                    FROM pg_stat_xact_user_tables
                    WHERE relname IN ('tasks', 'key_rates', 'key_starts') AND schemaname = current_schema()";
        for vacuum in [None, Some("VACUUM ANALYZE tasks")] {
            if let Some(vacuum) = vacuum {
                run(&mut conn, vacuum).await.unwrap();
            }
            for (what, ready_then) in [
                (
                    "UPDATE tasks SET state = 'running', lane = NULL, started_at = clock_timestamp() WHERE id = (
                         SELECT id FROM tasks
                         WHERE step_name = 'f' AND concurrency_key = 'full' AND slot = 3)",
                    1_000,
                ),
                ("INSERT INTO slots_to_fill VALUES ('f', 'full')", 1_000),
                ("UPDATE key_rates SET full_at = 'epoch' WHERE function = 'f' AND concurrency_key = 'full'", 1_000),
                ("INSERT INTO slots_to_fill VALUES ('f', 'full')", 1_001),
            ] {
                run(&mut conn, "BEGIN").await.unwrap();
                let before = number(&mut conn, read).await;
                run(&mut conn, what).await.unwrap();
                run(&mut conn, "SELECT slots_settle()").await.unwrap();
                let after = number(&mut conn, read).await;
                run(&mut conn, "COMMIT").await.unwrap();
                assert!(after - before < 25, "{} rows are read by {what}, {vacuum:?}", after - before);
                assert_eq!(number(&mut conn, ready).await, ready_then, "{what}");
            }
        }
        conn.close().await.unwrap();
    });
}

/// Keys of which more have a slot than may, or of which one waits while a slot is free.
const WRONG: &str = "
    SELECT count(*) FROM (
        SELECT concurrency_key FROM tasks
        WHERE concurrency_key IS NOT NULL
        GROUP BY concurrency_key
        HAVING count(*) FILTER (WHERE slot = 1) > 2
            OR (count(*) FILTER (WHERE slot = 1) < 2 AND count(*) FILTER (WHERE slot = 0) > 0)
            OR count(*) FILTER (WHERE coalesce(slot = 1, false) <> (lane IS NOT NULL OR state = 'running')) > 0
    ) AS wrong";

#[test]
fn transactions_that_touch_many_keys_at_once_are_exact_and_never_wait_in_a_circle() {
    const WRITERS: usize = 6;
    const TURNS: usize = 60;
    let url = fresh_url("");
    let house = House::at(&url);
    house.on(async {
        let schema = name_of(&url).to_owned();
        let mut conn = connect(&schema).await;
        run(&mut conn, "INSERT INTO functions (name, max_concurrent_per_key) VALUES ('f', 2)").await.unwrap();
        run(&mut conn, &insert("'k' || n % 5", 60)).await.unwrap();
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let schema = schema.clone();
                tokio::spawn(async move {
                    let mut conn = connect(&schema).await;
                    let mut done = 0;
                    while done < TURNS {
                        let turn = async {
                            run(&mut conn, "BEGIN").await?;
                            // Whoever holds rows waits for nobody's: those that wait are cancelled too, and left by some.
                            run(
                                &mut conn,
                                "UPDATE tasks SET state = 'completed', lane = NULL WHERE id = ANY(ARRAY(
                                     SELECT id FROM tasks WHERE state = 'pending' ORDER BY random() LIMIT 4
                                     FOR UPDATE SKIP LOCKED))",
                            )
                            .await?;
                            run(&mut conn, &insert("'k' || (random() * 4)::int", 4)).await?;
                            run(&mut conn, if done % 7 == 3 { "ROLLBACK" } else { "COMMIT" }).await
                        };
                        match turn.await {
                            Ok(()) => done += 1,
                            // Others have what waits: it begins again.
                            Err(why)
                                if why
                                    .as_database_error()
                                    .is_some_and(|why| why.code().as_deref() == Some("55P03")) =>
                            {
                                run(&mut conn, "ROLLBACK").await.unwrap();
                            }
                            Err(why) => panic!("{why}"),
                        }
                    }
                    conn.close().await.unwrap();
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        assert!(number(&mut conn, "SELECT count(*) FROM tasks WHERE slot = 0").await > 0, "nothing has waited");
        assert_eq!(number(&mut conn, WRONG).await, 0);
        conn.close().await.unwrap();
    });
}
