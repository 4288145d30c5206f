-- Ids are 16-byte UUIDs; times are microseconds since 1970-01-01T00:00:00Z; durations are microseconds;
-- args NULL stands for [], kwargs NULL for {}, tags NULL for none; errors, tags and policies are JSON.

CREATE TABLE executions (
    id            BLOB PRIMARY KEY NOT NULL,
    root_function TEXT NOT NULL,
    root_task_id  BLOB,
    state         TEXT NOT NULL,
    priority      INTEGER NOT NULL DEFAULT 0,
    retries       INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    started_at    INTEGER,
    completed_at  INTEGER,
    expiry_at     INTEGER,
    -- while cancelling: the terminal state to come, cancelled or timed_out
    ending        TEXT,
    cancel_reason TEXT,
    on_cancel     TEXT,
    traceparent   TEXT,
    replay_of     BLOB,
    queue         TEXT,
    tags          TEXT,
    args          BLOB,
    kwargs        BLOB,
    result        BLOB,
    error         BLOB
);
CREATE INDEX executions_by_creation ON executions (created_at DESC, id DESC);
CREATE INDEX executions_by_expiry ON executions (expiry_at) WHERE expiry_at IS NOT NULL AND ending IS NULL AND completed_at IS NULL;
CREATE INDEX executions_ending ON executions (id) WHERE state = 'cancelling';
CREATE INDEX executions_by_completion ON executions (completed_at) WHERE completed_at IS NOT NULL;

CREATE TABLE tasks (
    id               BLOB PRIMARY KEY NOT NULL,
    execution_id     BLOB NOT NULL,
    parent_task_id   BLOB,
    step_name        TEXT NOT NULL,
    step_key         TEXT,
    kind             TEXT NOT NULL,
    state            TEXT NOT NULL,
    -- where it may be claimed now: its route, or a worker's own lane (negative); NULL: it can't be claimed
    lane             INTEGER,
    -- queue, function and tags, as one number; NULL: never run by a worker
    route            INTEGER,
    priority         INTEGER NOT NULL DEFAULT 0,
    created_at       INTEGER NOT NULL,
    -- when a sweep looks at it: a delay, a timer, a time-out while it waits, the end of a worker's first call on it
    due_at           INTEGER,
    scheduled_for    INTEGER,
    fence            INTEGER NOT NULL DEFAULT 0,
    worker_id        TEXT,
    lease_expires_at INTEGER,
    -- the lease's end by the clock that counts: microseconds since the boot of that number
    lease_boot       INTEGER,
    lease_until      INTEGER,
    -- 1 while it runs under its function's max_concurrent
    limited          INTEGER,
    started_at       INTEGER,
    completed_at     INTEGER,
    retries          INTEGER NOT NULL DEFAULT 0,
    crashes          INTEGER NOT NULL DEFAULT 0,
    -- its own journal: how often it started over, operations issued, effects recorded
    run              INTEGER NOT NULL DEFAULT 0,
    ops              INTEGER NOT NULL DEFAULT 0,
    effects          INTEGER NOT NULL DEFAULT 0,
    -- in its parent's journal: number of the operation, and order of its end
    op               INTEGER,
    arrival          INTEGER,
    timeout          INTEGER,
    deadline_at      INTEGER,
    parked           INTEGER,
    parked_version   TEXT,
    -- the task with the same idempotency key whose end this one waits for
    joins            BLOB,
    idempotency_key  TEXT,
    cache_key        TEXT,
    cache_ttl        INTEGER,
    cache_hit        INTEGER,
    queue            TEXT,
    tags             TEXT,
    retry_policy     TEXT,
    args             BLOB,
    kwargs           BLOB,
    result           BLOB,
    error            BLOB,
    heartbeat        BLOB
);
CREATE INDEX tasks_ready ON tasks (lane, priority DESC, created_at, id) WHERE lane IS NOT NULL;
CREATE INDEX tasks_due ON tasks (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX tasks_leased ON tasks (lease_boot, lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX tasks_journal ON tasks (parent_task_id, arrival) WHERE parent_task_id IS NOT NULL;
CREATE INDEX tasks_by_execution ON tasks (execution_id);
CREATE INDEX tasks_by_creation ON tasks (created_at DESC, id DESC);
CREATE INDEX tasks_awaiting_signals ON tasks (execution_id, step_name) WHERE kind = 'signal' AND state = 'waiting';
CREATE INDEX tasks_joining ON tasks (joins) WHERE joins IS NOT NULL;
CREATE INDEX tasks_limited ON tasks (step_name) WHERE limited IS NOT NULL;
CREATE INDEX tasks_parked ON tasks (step_name) WHERE parked IS NOT NULL;

-- A task with operations: how many have arrived and, while it is suspended, what it waits for.
CREATE TABLE waits (
    task_id  BLOB PRIMARY KEY NOT NULL,
    arrivals INTEGER NOT NULL DEFAULT 0,
    mode     TEXT,
    ops      TEXT,
    missing  INTEGER
) WITHOUT ROWID;

CREATE TABLE signals (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    execution_id BLOB NOT NULL,
    name         TEXT NOT NULL,
    id           TEXT,
    payload      BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    consumed     INTEGER NOT NULL DEFAULT 0,
    consumed_at  INTEGER,
    consumed_by  BLOB
);
CREATE INDEX signals_in_order ON signals (execution_id, name, consumed, sequence);
CREATE UNIQUE INDEX signals_once ON signals (execution_id, name, id) WHERE id IS NOT NULL;

CREATE TABLE dead_letters (
    task_id      BLOB PRIMARY KEY NOT NULL,
    execution_id BLOB NOT NULL,
    function     TEXT NOT NULL,
    task         BLOB NOT NULL,
    reason       TEXT NOT NULL,
    moved_at     INTEGER NOT NULL
);
CREATE INDEX dead_letters_by_time ON dead_letters (moved_at DESC, task_id DESC);

CREATE TABLE cache (
    key        TEXT PRIMARY KEY NOT NULL,
    value      BLOB NOT NULL,
    expires_at INTEGER
) WITHOUT ROWID;
CREATE INDEX cache_by_expiry ON cache (expires_at) WHERE expires_at IS NOT NULL;

-- A reservation (owner) of the engine's, or a plain value of the protocol's.
CREATE TABLE idempotency (
    key        TEXT PRIMARY KEY NOT NULL,
    value      BLOB,
    owner      BLOB,
    args_hash  BLOB,
    expires_at INTEGER
) WITHOUT ROWID;
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE execution_progress (
    sequence     INTEGER PRIMARY KEY,
    execution_id BLOB NOT NULL,
    step         TEXT NOT NULL,
    status       TEXT NOT NULL,
    started_at   INTEGER,
    completed_at INTEGER,
    detail       BLOB
);
CREATE INDEX execution_progress_in_order ON execution_progress (execution_id, sequence);

CREATE TABLE execution_counters (
    execution_id BLOB NOT NULL,
    name         TEXT NOT NULL,
    -- no declared type: integers stay integers
    value        NOT NULL,
    PRIMARY KEY (execution_id, name)
) WITHOUT ROWID;

CREATE TABLE execution_state (
    execution_id BLOB NOT NULL,
    key          TEXT NOT NULL,
    value        BLOB NOT NULL,
    PRIMARY KEY (execution_id, key)
);

-- What workers declare; callers take from here what a call leaves out.
CREATE TABLE functions (
    name           TEXT PRIMARY KEY NOT NULL,
    queue          TEXT,
    tags           TEXT,
    priority       INTEGER,
    retry_policy   TEXT,
    timeout        INTEGER,
    version        TEXT,
    max_concurrent INTEGER,
    cached         INTEGER NOT NULL DEFAULT 0,
    cache_ttl      INTEGER,
    idempotent     INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE routes (
    id       INTEGER PRIMARY KEY,
    queue    TEXT,
    function TEXT NOT NULL,
    tags     TEXT
);
CREATE UNIQUE INDEX routes_once ON routes (function, ifnull(queue, ''), ifnull(tags, ''));

CREATE TABLE workers (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    worker_id  TEXT NOT NULL UNIQUE,
    queues     TEXT,
    tags       TEXT,
    started_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL
);

-- Trees whose unfinished rest is still to be cancelled, in batches.
CREATE TABLE unfinished_trees (
    task_id BLOB PRIMARY KEY NOT NULL
) WITHOUT ROWID;

-- Boots of the machine, numbered: a lease of another boot has ended.
CREATE TABLE boots (
    number  INTEGER PRIMARY KEY,
    boot_id TEXT NOT NULL UNIQUE
);

-- Grows whenever functions, routes or workers change: readers keep them in memory until it does.
CREATE TABLE catalog (
    version INTEGER NOT NULL
);
INSERT INTO catalog (version) VALUES (1);
