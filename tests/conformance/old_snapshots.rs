//! PostgreSQL: an old snapshot keeps the dead rows of all that was claimed since. Claims begin where the living do, and yet
//! find whatever becomes ready before that, the best first.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};
use stent::backend::{Claimed, Request};
use stent::model::{DispatchOptions, Id, TaskState, Timestamp};

use crate::house::*;
use crate::places::at;
use crate::server::{beside, on_new, statement};

async fn run(conn: &mut PgConnection, sql: String) {
    conn.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
}

async fn all(conn: &mut PgConnection, sql: String) -> Vec<PgRow> {
    conn.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap()
}

async fn number(conn: &mut PgConnection, sql: &str) -> i64 {
    all(conn, sql.to_owned()).await[0].get(0)
}

const PIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM tasks";

const LANE: &str = "SELECT id FROM routes WHERE function = 'root'";

/// So many tasks that were ready, ran and had a time, all of it an hour ago, and that no vacuum can remove.
async fn leave_dead(conn: &mut PgConnection, lane: i64, count: i64) {
    run(
        conn,
        format!(
            "INSERT INTO tasks (id, execution_id, root, lane, route, created_at, state, kind, step_name)
             SELECT gen_random_uuid(), gen_random_uuid(), true, {lane}, {lane}, now() - interval '1 hour', 'pending',
                 'orchestrator', 'root'
             FROM generate_series(1, {count})"
        ),
    )
    .await;
    let ran = "lane = NULL, state = 'running', lease_expires_at = created_at, due_at = created_at";
    run(conn, format!("UPDATE tasks SET {ran} WHERE lane = {lane}")).await;
    let over = "state = 'completed', lease_expires_at = NULL, due_at = NULL";
    run(conn, format!("UPDATE tasks SET {over} WHERE due_at = created_at")).await;
}

/// As a tool may, by the protocol: a lease that ended long ago, where a look at all has just been dear.
#[test]
fn what_a_tool_writes_for_the_past_is_seen_at_once() {
    on_new(async |url| {
        let store = at(&url).await;
        store.worker("w", &["root"]).await;
        let mut task = store.root("root").await.task;
        let mut conn = beside(&url).await;
        run(&mut conn, "BEGIN; LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE".to_owned()).await;
        let backend = store.backend.clone();
        let look = tokio::spawn(async move { backend.sweep("w").await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        run(&mut conn, "COMMIT".to_owned()).await;
        look.await.unwrap().unwrap();
        task.lease_expires_at = Some(Timestamp::from_micros(task.created_at.micros() - 86_400_000_000));
        store.backend.call(Request::UpdateTask { task: task.clone() }).await.unwrap();
        store.sweep().await;
        assert_eq!(store.state(task.id).await, TaskState::Pending);
    });
}

/// The pages that a statement has touched, and what it has answered before.
async fn pages(conn: &mut PgConnection, execute: &str) -> i64 {
    let plan = all(conn, format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {execute}")).await;
    let text: String = plan[0].try_get_unchecked(0).unwrap();
    let first = |name: &str| -> i64 {
        let (_, rest) = text.split_once(&format!("\"{name}\": ")).unwrap();
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    first("Shared Hit Blocks") + first("Shared Read Blocks")
}

#[test]
fn a_claim_beside_a_hundred_thousand_dead_touches_few_pages() {
    on_new(async |url| {
        let store = at(&url).await;
        store.worker("w", &["root"]).await;
        let first = store.root("root").await;
        store.complete(&first, "1").await;
        let (mut conn, mut pin) = (beside(&url).await, beside(&url).await);
        run(&mut pin, PIN.to_owned()).await;
        let lane = number(&mut conn, LANE).await;
        leave_dead(&mut conn, lane, 100_000).await;
        store.start("root").await;

        run(&mut conn, format!("PREPARE it AS {}", statement("tasks_claim_from"))).await;
        let execute = |places: &str| {
            format!("EXECUTE it({places}, 10, 'w', now(), now() + interval '30 seconds', NULL, true, 4)")
        };
        let whole = execute(&format!("'{{{lane}}}', '{{NULL}}', '{{{}}}', '{{NULL}}', '{{}}'", i64::MAX));
        run(&mut conn, "BEGIN".to_owned()).await;
        let answer = all(&mut conn, whole.clone()).await;
        run(&mut conn, "ROLLBACK; BEGIN".to_owned()).await;
        let seen = pages(&mut conn, &whole).await;
        assert!(seen > 2_000, "{seen} pages: nothing dead was in the way");
        run(&mut conn, "ROLLBACK".to_owned()).await;

        // Its row has the places that it found: the living begin at the only one.
        let (snapshot, places): (String, String) = (answer[0].get("snapshot"), answer[0].get("places"));
        let end = snapshot.split(':').nth(1).unwrap();
        let place: Vec<&str> = places.split(' ').collect();
        assert_eq!((place[0], place[1], place[3]), (lane.to_string().as_str(), "0", "t"));
        let since = format!("'epoch'::timestamptz + {} * interval '1 microsecond'", place[2]);
        // One that was under way then is asked for by its number.
        let from = execute(&format!("'{{{lane}}}', '{{{end}}}', '{{0}}', ARRAY[{since}], '{{3,4}}'"));
        store.start("root").await;
        // Whatever the server believes of the table: that it is new, that hardly any of its many rows is ready.
        for before in ["SELECT 1", "ANALYZE tasks", "VACUUM (ANALYZE) tasks"] {
            run(&mut conn, before.to_owned()).await;
            run(&mut conn, "BEGIN".to_owned()).await;
            assert_eq!(all(&mut conn, from.clone()).await.len(), 2);
            run(&mut conn, "ROLLBACK; BEGIN".to_owned()).await;
            let seen = pages(&mut conn, &from).await;
            assert!(seen < 200, "{seen} pages beside the dead, after {before}");
            run(&mut conn, "ROLLBACK".to_owned()).await;
        }
    });
}

/// How many rows of tasks were changed, and how many index entries were read for tasks, once so many changes are counted.
async fn counted(store: &Store, conn: &mut PgConnection, updates: i64) -> (i64, i64) {
    let sql = "SELECT n_tup_upd, (SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes AS i WHERE i.relid = t.relid) \
               FROM pg_stat_user_tables AS t WHERE schemaname = current_schema() AND relname = 'tasks'";
    let mut found = (0, 0);
    for _ in 0..600 {
        let row = &all(conn, sql.to_owned()).await[0];
        found = (row.get(0), row.get(1));
        if found.0 >= updates {
            return found;
        }
        // A session tells what it has done some time later, when it is used again.
        store.idle().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the server has counted {found:?} of {updates} updates");
}

/// The same of the store's own claims and polls, as the server counts what they read.
#[test]
fn a_store_remembers_where_the_living_begin() {
    const DEAD: i64 = 100_000;
    const ROUNDS: i64 = 40;
    on_new(async |url| {
        let store = at(&url).await;
        store.worker("w", &["root", "other"]).await;
        let (mut conn, mut pin) = (beside(&url).await, beside(&url).await);
        let first = store.root("root").await;
        store.complete(&first, "1").await;
        run(&mut pin, PIN.to_owned()).await;
        let lane = number(&mut conn, LANE).await;
        leave_dead(&mut conn, lane, DEAD).await;
        // As the server does some time, by itself.
        run(&mut conn, "ANALYZE tasks".to_owned()).await;
        let round = async || {
            let root = store.root("root").await;
            store.sweep().await;
            store.complete(&root, "1").await;
        };
        // The first looks are at all.
        round().await;
        let (updates, before) = counted(&store, &mut conn, 2 * DEAD + 4).await;
        for _ in 0..ROUNDS {
            round().await;
        }
        // Each would read all of the dead: a claim's index, that of what has become ready, what is due, the leases. A look
        // at everything is one of 30 seconds', and one after a transaction that took a second, as on a busy machine: not
        // one of four.
        let all_of_each = ROUNDS * 4 * DEAD;
        let (_, after) = counted(&store, &mut conn, updates + 2 * ROUNDS).await;
        let read = after - before;
        println!("{read} index entries for {ROUNDS} claims, polls and ends");
        assert!(read < all_of_each / 4, "{read} index entries for {ROUNDS} claims, polls and ends");
        // What is due is found, and what its worker left behind.
        store.start("root").await;
        store.die().await;
        let again = store.take().await;
        store.complete(&again, "1").await;
    });
}

/// Numbers that look like chance, and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A task that another program's transaction inserts now, and commits later.
async fn insert_early(conn: &mut PgConnection, priority: i64) {
    let sql = format!(
        "WITH e AS (
             INSERT INTO executions (id, root_function, root_task_id, priority, created_at, state)
             SELECT gen_random_uuid(), 'root', gen_random_uuid(), {priority}, now() - interval '1 hour', 'pending'
             RETURNING id, root_task_id, created_at
         )
         INSERT INTO tasks (id, execution_id, root, lane, route, priority, created_at, state, kind, step_name)
         SELECT e.root_task_id, e.id, true, r.id, r.id, {priority}, e.created_at, 'pending', 'orchestrator', 'root'
         FROM e JOIN routes AS r ON r.function = 'root'"
    );
    run(conn, sql).await;
}

#[test]
fn whatever_becomes_ready_the_best_is_claimed_first() {
    for seed in 1..=4 {
        on_new(async move |url| whatever_becomes_ready(&url, seed).await);
    }
}

/// Two processes claim from the same lanes, while tasks are dispatched, given back and committed late; what each claim gets
/// is what a look at all of the table finds.
async fn whatever_becomes_ready(url: &str, seed: u64) {
    let one = at(url).await;
    let two = one.another().await;
    one.worker("a", &["root", "other"]).await;
    two.worker("b", &["root", "other"]).await;
    let mut conn = beside(url).await;
    let mut pin = beside(url).await;
    let mut late = beside(url).await;
    let mut chance = Chance(seed);
    let mut held: Vec<(bool, Claimed)> = Vec::new();
    let mut is_open = false;
    for function in ["root", "other"] {
        one.start(function).await;
    }
    run(&mut pin, PIN.to_owned()).await;
    let best = async |conn: &mut PgConnection, count: u64| -> Vec<Id> {
        let sql =
            format!("SELECT id FROM tasks WHERE lane IS NOT NULL ORDER BY priority DESC, created_at, id LIMIT {count}");
        all(conn, sql).await.iter().map(|row| row.get(0)).collect()
    };
    for step in 0..250 {
        match chance.below(10) {
            0..=3 => {
                let mut options = DispatchOptions::default();
                options.task.priority = match chance.below(4) {
                    0 => Some(chance.below(3) as i64 - 1),
                    1 => Some(chance.below(100) as i64 - 50),
                    _ => None,
                };
                let function = if chance.below(3) == 0 { "other" } else { "root" };
                one.start_with(function, "[]", options).await.unwrap();
            }
            4..=6 => {
                let count = 1 + chance.below(3);
                let expected = best(&mut conn, count).await;
                let is_first = chance.below(2) == 0;
                let claimed =
                    if is_first { one.claim("a", count as usize).await } else { two.claim("b", count as usize).await };
                let ids: Vec<Id> = claimed.iter().map(|claimed| claimed.task.id).collect();
                assert_eq!(ids, expected, "step {step} of seed {seed}");
                held.extend(claimed.into_iter().map(|claimed| (is_first, claimed)));
            }
            7 if !held.is_empty() => {
                let (is_first, back) = held.swap_remove(chance.below(held.len() as u64) as usize);
                (if is_first { &one } else { &two }).release(&back).await;
            }
            8 if !held.is_empty() => {
                let (is_first, done) = held.swap_remove(chance.below(held.len() as u64) as usize);
                (if is_first { &one } else { &two }).complete(&done, "1").await;
            }
            _ => {
                if is_open {
                    run(&mut late, "COMMIT".to_owned()).await;
                } else {
                    run(&mut late, "BEGIN".to_owned()).await;
                    insert_early(&mut late, chance.below(3) as i64 - 1).await;
                }
                is_open = !is_open;
            }
        }
    }
    if is_open {
        run(&mut late, "COMMIT".to_owned()).await;
    }
    let rest = best(&mut conn, 1_000).await;
    let claimed: Vec<Id> = one.claim("a", 1_000).await.iter().map(|claimed| claimed.task.id).collect();
    assert_eq!(claimed, rest, "seed {seed}");
}
