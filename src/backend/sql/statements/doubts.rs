//! Statements that only a database with several writers, reached over a network, needs: row locks, and queries for
//! whether a commit whose answer was lost is recorded.

statements! {
    EXECUTIONS_LOCK "executions_lock" "lock executions" rows (id: Id) gives (id: Id)
        sqlite needs not "it has one writer";

    TASK_LOCK "task_lock" "hold a task" with (id: Id) gives (id: Id)
        sqlite needs not "it has one writer";

    /// As [`EXECUTIONS_LOCK`], but fails where it would have to wait.
    EXECUTIONS_LOCK_NOW "executions_lock_now" "lock executions" rows (id: Id) gives (id: Id)
        sqlite needs not "it has one writer";

    TASKS_LOCK "tasks_lock" "lock tasks" rows (id: Id) gives (id: Id)
        sqlite needs not "it has one writer";

    /// As [`TASKS_LOCK`], but fails where it would have to wait.
    TASKS_LOCK_NOW "tasks_lock_now" "lock tasks" rows (id: Id) gives (id: Id)
        sqlite needs not "it has one writer";

    /// As [`WAITS_LOCK`], but fails where it would have to wait.
    WAITS_LOCK_NOW "waits_lock_now" "lock waits" rows (task_id: Id) gives (task_id: Id)
        sqlite needs not "it has one writer";

    /// As `WAITS_GET`, but fails where it would have to wait.
    WAITS_GET_NOW "waits_get_now" "read waits" rows (task_id: Id)
        gives (task_id: Id, arrivals: Int, mode: Text, ops: Text, missing: Int)
        sqlite needs not "it has one writer";

    WAITS_LOCK "waits_lock" "lock waits" rows (task_id: Id) gives (task_id: Id)
        sqlite needs not "it has one writer";

    /// The parents of all running tasks in these executions, and the roots.
    TASKS_MET_BELOW "tasks_met_below" "look whose waits are touched" rows (execution_id: Id) gives (id: Id)
        sqlite needs not "it has one writer";

    /// Inserts missing rows and returns them.
    WAITS_ENSURE "waits_ensure" "make waits" rows (task_id: Id) gives (task_id: Id)
        sqlite needs not "it has one writer, and makes them when they are saved";

    IDEMPOTENCY_LOCK "idempotency_lock" "lock an idempotency key" with (key: Text) gives (key: Text)
        sqlite needs not "it has one writer";

    /// Locks keys in their order, and inserts those that are missing.
    IDEMPOTENCY_HOLD "idempotency_hold" "reserve idempotency keys"
        rows (key: Text, args_hash: Bytes) with (expires_at: Time)
        sqlite needs not "it has one writer";

    /// Locks keys in their order, and inserts those that are missing.
    UNIQUE_HOLD "unique_hold" "lock unique keys" rows (key: Text) with (now: Time) gives (key: Text, execution_id: Id)
        sqlite needs not "it has one writer";

    /// Fails where it would have to wait.
    IDEMPOTENCY_LOCK_OWNED "idempotency_lock_owned" "lock idempotency keys" rows (owner: Id) gives (key: Text)
        sqlite needs not "it has one writer";

    /// Locks and returns those that are still due, skipping those that others have locked.
    TASKS_TAKE_DUE "tasks_take_due" "take what is due" rows (id: Id) with (now: Time) gives (id: Id)
        sqlite needs not "it has one writer";

    /// For claims whose answer was lost: returns the tasks that the worker holds, with a new lease.
    TASKS_ADOPT "tasks_adopt" "find claims again" rows (id: Id, fence: Int) with (lease: Lease, worker_id: Text)
        gives (id: Id, fence: Int)
        sqlite needs not "a commit in the same process has an answer";

    EXECUTIONS_SAME "executions_same" "look for executions"
        rows (id: Id, root_function: Text, args: Bytes, kwargs: Bytes) gives (count: Int)
        sqlite needs not "a commit in the same process has an answer";

    EXECUTION_REPLAY_OF "execution_replay_of" "look for a replay" with (id: Id) gives (replay_of: Id)
        sqlite needs not "a commit in the same process has an answer";

    SIGNAL_EXISTS "signal_exists" "look for a signal" with (sequence: Int, execution_id: Id) gives (found: Flag)
        sqlite needs not "a commit in the same process has an answer";
}
