use super::*;
use crate::backend::sql::statement::Kind;
use std::collections::HashSet;

#[tokio::test]
async fn a_claim_sets_what_it_should_and_takes_each_once() {
    on_both(async |store| {
        let parent = execution(ExecutionState::Pending);
        let one = task(parent.id);
        store.ok(Request::CreateExecution { execution: parent.clone() }).await;
        store.ok(Request::CreateTask { task: one.clone() }).await;
        let before = now();
        let claimed = store.claim(ANY).await.unwrap();
        let expected = Task {
            state: TaskState::Running,
            worker_id: Some("w".into()),
            fence: 1,
            started_at: claimed.started_at,
            lease_expires_at: claimed.started_at.map(|time| time.after(30 * SECOND)),
            ..one
        };
        assert_eq!(claimed, expected);
        assert!(claimed.started_at.unwrap() >= before);
        assert_eq!(store.task(claimed.id).await.as_ref(), Some(&claimed));
        let started = store.execution(parent.id).await.unwrap();
        assert_eq!((started.state, started.started_at), (ExecutionState::Running, claimed.started_at));
        assert_eq!(store.claim(ANY).await, None);
    })
    .await;
}

#[tokio::test]
async fn the_order_is_priority_then_age_then_id() {
    on_both(async |store| {
        let time = now();
        let mut all: Vec<Task> = (0..60i64)
            .map(|n| Task {
                priority: n % 3,
                created_at: time.after((n % 4) as u32 * SECOND),
                // Several routes, so that the best of each compete.
                step_name: format!("f{}", n % 5),
                queue: (n % 7 == 0).then(|| "q".to_owned()),
                ..task(id())
            })
            .collect();
        store.ok(Request::CreateTasks { tasks: all.clone() }).await;
        all.sort_by_key(|t| (-t.priority, t.created_at, t.id));
        for expected in all {
            assert_eq!(store.claim(ANY).await.map(|t| t.id), Some(expected.id));
        }
        assert_eq!(store.claim(ANY).await, None);
    })
    .await;
}

#[tokio::test]
async fn queues_and_tags_decide() {
    on_both(async |store| {
        let new = async |queue: Option<&str>, tags: &[&str]| {
            let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
            let task = Task { queue: queue.map(str::to_owned), tags, ..task(id()) };
            store.ok(Request::CreateTask { task: task.clone() }).await;
            Some(task.id)
        };
        let take = async |queues, tags| store.claim(Claim { queues, tags, ..ANY }).await.map(|task| task.id);

        let in_a = new(Some("a"), &[]).await;
        assert_eq!(take(Some(&["b"]), None).await, None);
        assert_eq!(take(Some(&["b", "a"]), None).await, in_a);
        let in_a = new(Some("a"), &[]).await;
        assert_eq!(take(None, None).await, in_a);
        let nowhere = new(None, &[]).await;
        assert_eq!(take(Some(&["b"]), Some(&["x"])).await, nowhere);
        let tagged = new(None, &["y", "x"]).await;
        assert_eq!(take(None, Some(&["z"])).await, None);
        assert_eq!(take(None, Some(&["z", "x"])).await, tagged);
        let tagged = new(None, &["x"]).await;
        assert_eq!(take(Some(&["b"]), None).await, tagged);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_eligible_is_not_taken() {
    on_both(async |store| {
        for kind in [TaskKind::Signal, TaskKind::Timer, TaskKind::Step] {
            store.ok(Request::CreateTask { task: Task { kind, ..task(id()) } }).await;
        }
        for state in [TaskState::Waiting, TaskState::Completed, TaskState::Failed, TaskState::Cancelled] {
            store.ok(Request::CreateTask { task: Task { state, ..task(id()) } }).await;
        }
        for state in ExecutionState::ALL {
            let parent = execution(ExecutionState::Pending);
            store.ok(Request::CreateExecution { execution: parent.clone() }).await;
            store.ok(Request::CreateTask { task: Task { step_name: state.to_string(), ..task(parent.id) } }).await;
            store.ok(Request::UpdateExecution { execution: Execution { state: *state, ..parent } }).await;
        }
        let taken: HashSet<String> =
            [store.claim(ANY).await, store.claim(ANY).await].into_iter().flatten().map(|t| t.step_name).collect();
        assert_eq!(taken, HashSet::from(["pending".to_owned(), "running".to_owned()]));
        assert_eq!(store.claim(Claim { now: Some(now().after(9 * SECOND)), ..ANY }).await, None);
        let why = store
            .refused(Request::ClaimNextTask {
                worker_id: String::new(),
                queues: None,
                tags: None,
                now: None,
                lease_duration: 1.0,
                concurrency_limits: Default::default(),
            })
            .await;
        is(&why, Status::Invalid, "worker_id is empty");
    })
    .await;
}

#[tokio::test]
async fn schedules_and_leases_are_judged_by_the_callers_now() {
    on_both(async |store| {
        let time = now();
        let later = Task { scheduled_for: Some(time.after(100 * SECOND)), ..task(id()) };
        store.ok(Request::CreateTask { task: later.clone() }).await;
        let at = async |seconds: u32| {
            store.claim(Claim { now: Some(time.after(seconds * SECOND)), ..ANY }).await.map(|t| (t.id, t.fence))
        };
        assert_eq!(store.claim(ANY).await, None);
        assert_eq!(at(99).await, None);
        // Released by a call from the future, it is still not for one from the present.
        let future = Claim { now: Some(time.after(101 * SECOND)), ..ANY };
        assert_eq!(store.claim(Claim { limits: &[("charge", 0)], ..future }).await, None);
        assert_eq!(at(99).await, None);
        assert_eq!(at(101).await, Some((later.id, 1)));
        let claimed = store.task(later.id).await.unwrap();
        assert_eq!(claimed.lease_expires_at, Some(time.after(131 * SECOND)));
        assert_eq!(at(130).await, None);
        assert_eq!(at(132).await, Some((later.id, 2)));
        assert_eq!(store.task(later.id).await.unwrap().started_at, claimed.started_at);
        assert_eq!(at(133).await, None);
        // Of another boot: ended.
        static ANOTHER_BOOT: Statement = statement("UPDATE tasks SET lease_boot = lease_boot + 1", &[]);
        store.run(&ANOTHER_BOOT).await;
        assert_eq!(at(133).await, Some((later.id, 3)));
    })
    .await;
}

#[tokio::test]
async fn limits_count_live_leases() {
    on_both(async |store| {
        let time = now();
        for n in 0..3 {
            store.ok(Request::CreateTask { task: Task { priority: 9 - n, ..task(id()) } }).await;
        }
        store.ok(Request::CreateTask { task: Task { step_name: "free".into(), ..task(id()) } }).await;
        let at = async |seconds: u32, limits: &[(&str, u32)]| {
            let claim = Claim { now: Some(time.after(seconds * SECOND)), limits, ..ANY };
            store.claim(claim).await.map(|t| t.step_name)
        };
        assert_eq!(at(0, &[("charge", 2)]).await.as_deref(), Some("charge"));
        assert_eq!(at(10, &[("charge", 2)]).await.as_deref(), Some("charge"));
        assert_eq!(at(10, &[("charge", 2)]).await.as_deref(), Some("free"));
        assert_eq!(at(10, &[("charge", 2)]).await, None);
        assert_eq!(at(10, &[("charge", 0)]).await, None);
        // The first lease is over: its task comes back, and no other beside it.
        assert_eq!(at(35, &[("charge", 2)]).await.as_deref(), Some("charge"));
        assert_eq!(at(35, &[("charge", 2)]).await, None);
        assert_eq!(at(35, &[]).await.as_deref(), Some("charge"));
    })
    .await;
}

#[tokio::test]
async fn many_claimers_never_share() {
    on_both(async |store| {
        let tasks: Vec<Task> = (0..200).map(|_| task(id())).collect();
        store.ok(Request::CreateTasks { tasks }).await;
        let store = std::sync::Arc::new(store);
        let workers = (0..8).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let (name, mut taken) = (format!("w{n}"), Vec::new());
                while let Some(task) = store.claim(Claim { worker: &name, ..ANY }).await {
                    taken.push(task.id);
                }
                taken
            })
        });
        let mut all = Vec::new();
        for worker in workers.collect::<Vec<_>>() {
            all.extend(worker.await.unwrap());
        }
        assert_eq!((all.len(), all.iter().collect::<HashSet<_>>().len()), (200, 200));
    })
    .await;
}

/// The cost of a claim does not depend on what waits behind the best, nor on what is scheduled, nor on other lanes.
#[tokio::test]
async fn a_claim_goes_by_the_index() {
    on_both(async |store| {
        const COLUMNS: &[Column] = &[
            Column { name: "id", kind: Kind::Int },
            Column { name: "parent", kind: Kind::Int },
            Column { name: "notused", kind: Kind::Int },
            Column { name: "detail", kind: Kind::Text },
        ];
        static EXPLAIN: Statement =
            statement(concat!("EXPLAIN QUERY PLAN ", include_str!("../sql/task_claim_next.sql")), COLUMNS);
        let plan: Vec<String> = store.run(&EXPLAIN).await.iter().map(|row| row.string("detail").unwrap()).collect();
        let has = |text: &str| plan.iter().any(|line| line.contains(text));
        assert!(has("SEARCH r USING INDEX tasks_ready (lane=?)"), "{plan:#?}");
        assert!(!has("SCAN r") && !plan.iter().any(|line| line == "SCAN t"), "{plan:#?}");
    })
    .await;
}
