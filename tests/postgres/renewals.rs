//! A renewal waits for nobody while it holds rows, so it is in no circle of transactions that wait for each other.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use stent::backend::{Claim, Claimed, Function, Held, NewWorker, Renew};
use stent::model::{FunctionOptions, Id};

use crate::house::House;
use crate::postgres::{fresh_url, shared};

const LEASE: Duration = Duration::from_secs(600);

fn claimed(house: &House, count: usize) -> Vec<Claimed> {
    let function = Function { name: "work".into(), options: FunctionOptions::default() };
    let worker = NewWorker {
        worker_id: "w".into(),
        queues: vec![],
        tags: vec![],
        functions: vec![function],
        queue_rates: [].into(),
    };
    house.on(house.backend.register_worker(worker)).unwrap();
    for _ in 0..count {
        house.dispatch("work", "[]");
    }
    let claim = Claim { worker_id: "w".into(), count, limited: 0, begin: count, slots: 1, lease: LEASE };
    let mut claimed = house.on(house.backend.advance(vec![], Some(claim))).unwrap().1;
    claimed.sort_by_key(|claimed| claimed.task.id);
    claimed
}

fn held(claimed: &Claimed) -> Held {
    let task = &claimed.task;
    Held { task: task.id, execution: task.execution_id, parent: task.parent_task_id, fence: task.fence }
}

#[test]
fn a_row_in_another_s_hands_is_renewed_when_it_is_free_and_the_others_at_once() {
    let url = fresh_url("");
    let house = House::at(&url);
    let schema = url.split("schema=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let tasks = claimed(&house, 3);
    let last = tasks[2].task.id;
    house.on(async {
        let connect = || PgConnection::connect(&shared().url);
        let (mut other, mut looker) = (connect().await.unwrap(), connect().await.unwrap());
        let set = format!("SET search_path TO {schema}");
        for conn in [&mut other, &mut looker] {
            conn.execute(sqlx::raw_sql(AssertSqlSafe(set.clone()))).await.unwrap();
        }
        // Somebody has the last of them in a transaction.
        other.execute("BEGIN").await.unwrap();
        let lock = "SELECT id FROM tasks WHERE id = $1 FOR UPDATE";
        sqlx::query(lock).bind(last).fetch_one(&mut other).await.unwrap();
        let renew = Renew { worker_id: "w".into(), held: tasks.iter().map(held).collect(), lease: 2 * LEASE };
        let backend = house.backend.clone();
        let renewing = tokio::spawn(async move { backend.renew(renew).await });
        let left = async |conn: &mut PgConnection, id: Id| -> f64 {
            let left = "SELECT extract(epoch FROM lease_expires_at - now())::float8 FROM tasks WHERE id = $1";
            sqlx::query(left).bind(id).fetch_one(conn).await.unwrap().get(0)
        };
        let renewed = async {
            while left(&mut looker, tasks[0].task.id).await < 1.5 * LEASE.as_secs_f64() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), renewed).await.expect("it waits, and holds what it has renewed");
        // It holds nothing that the other one might want.
        sqlx::query("SELECT id FROM tasks WHERE id = $1 FOR UPDATE NOWAIT")
            .bind(tasks[0].task.id)
            .fetch_one(&mut other)
            .await
            .unwrap();
        other.execute("COMMIT").await.unwrap();
        let told = renewing.await.unwrap().unwrap();
        assert_eq!((told.lost, told.cancelled), (vec![], vec![]));
        assert!(left(&mut looker, last).await > 1.5 * LEASE.as_secs_f64(), "it was not renewed");
    });
}

#[test]
fn what_is_lost_is_told_also_when_others_are_at_it() {
    let house = House::at(&fresh_url(""));
    let mut tasks: Vec<Held> = claimed(&house, 2).iter().map(held).collect();
    tasks[1].fence += 1;
    let renew = Renew { worker_id: "w".into(), held: tasks.clone(), lease: LEASE };
    assert_eq!(house.on(house.backend.renew(renew)).unwrap().lost, [tasks[1].task]);
}
