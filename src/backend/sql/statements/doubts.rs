//! What only a store needs that has many writers and is reached over a network: locks of rows, and looks whether a
//! commit is recorded whose answer was lost.

statements! {
    EXECUTIONS_LOCK "executions_lock" "lock executions" rows (id: Id) gives (id: Id)
        sqlite needs not "it has one writer";

    TASK_LOCK "task_lock" "hold a task" with (id: Id) gives (id: Id)
        sqlite needs not "it has one writer";

    WAITS_LOCK "waits_lock" "lock waits" rows (task_id: Id) gives (task_id: Id)
        sqlite needs not "it has one writer";

    /// Of those to whom what is leased in these executions will be delivered.
    WAITS_LOCK_BELOW "waits_lock_below" "lock waits" rows (execution_id: Id) gives (task_id: Id)
        sqlite needs not "it has one writer";

    /// Those that were not there.
    WAITS_ENSURE "waits_ensure" "make waits" rows (task_id: Id) gives (task_id: Id)
        sqlite needs not "it has one writer, and makes them when they are saved";

    IDEMPOTENCY_LOCK "idempotency_lock" "lock an idempotency key" with (key: Text) gives (key: Text)
        sqlite needs not "it has one writer";

    IDEMPOTENCY_LOCK_OWNED "idempotency_lock_owned" "lock idempotency keys" rows (owner: Id) gives (key: Text)
        sqlite needs not "it has one writer";

    /// Those of them that are still due, and that nobody else is at.
    TASKS_TAKE_DUE "tasks_take_due" "take what is due" rows (id: Id) with (now: Time) gives (id: Id)
        sqlite needs not "it has one writer";

    /// A claim whose answer was lost: which of these the worker has, with a new lease.
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
