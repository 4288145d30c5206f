-- What is started at which times. A tick's identity is its schedule and its time: its row, its execution and the schedule's
-- next tick are written in one transaction.
CREATE TABLE schedules (
    name           TEXT PRIMARY KEY NOT NULL,
    owner          TEXT,
    function       TEXT NOT NULL,
    -- as its owner wrote it, as JSON
    document       BLOB NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    -- the next tick; null: paused, or over
    next_at        INTEGER,
    -- with its jitter, by the wall clock
    due_at         INTEGER,
    last_execution BLOB,
    -- ticks that start when what goes on has ended
    waiting        INTEGER NOT NULL DEFAULT 0,
    paused_at      INTEGER,
    pause_note     TEXT,
    -- why it does not tick
    trouble        TEXT
);
CREATE INDEX schedules_due ON schedules (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX schedules_waiting ON schedules (name) WHERE waiting > 0;
CREATE INDEX schedules_by_owner ON schedules (owner) WHERE owner IS NOT NULL;
CREATE TABLE schedule_ticks (
    schedule     TEXT NOT NULL,
    tick_at      INTEGER NOT NULL,
    -- scheduled, triggered, backfilled
    kind         TEXT NOT NULL,
    -- started, waiting, skipped, missed
    state        TEXT NOT NULL,
    execution_id BLOB,
    decided_at   INTEGER NOT NULL,
    PRIMARY KEY (schedule, tick_at)
) WITHOUT ROWID;
CREATE INDEX schedule_ticks_waiting ON schedule_ticks (schedule, tick_at) WHERE state = 'waiting';
