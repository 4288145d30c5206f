-- What is started at which times. A tick's identity is its schedule and its time: its row, its execution and the schedule's
-- next tick are written in one transaction.
CREATE TABLE schedules (
    name           text PRIMARY KEY,
    owner          text,
    function       text NOT NULL,
    -- as its owner wrote it, as JSON
    document       bytea NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    -- the next tick; null: paused, or over
    next_at        timestamptz,
    -- with its jitter
    due_at         timestamptz,
    last_execution uuid,
    -- ticks that start when what goes on has ended
    waiting        bigint NOT NULL DEFAULT 0,
    paused_at      timestamptz,
    pause_note     text,
    -- why it does not tick
    trouble        text
);
CREATE INDEX schedules_due ON schedules (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX schedules_waiting ON schedules (name) WHERE waiting > 0;
CREATE INDEX schedules_by_owner ON schedules (owner) WHERE owner IS NOT NULL;
CREATE TABLE schedule_ticks (
    schedule     text NOT NULL,
    tick_at      timestamptz NOT NULL,
    -- scheduled, triggered, backfilled
    kind         text NOT NULL,
    -- started, waiting, skipped, missed
    state        text NOT NULL,
    execution_id uuid,
    decided_at   timestamptz NOT NULL,
    PRIMARY KEY (schedule, tick_at)
);
CREATE INDEX schedule_ticks_waiting ON schedule_ticks (schedule, tick_at) WHERE state = 'waiting';
