INSERT INTO schedule_ticks (schedule, tick_at, kind, state, execution_id, decided_at)
SELECT b.schedule, b.tick_at, b.kind, b.state, b.execution_id, b.decided_at
FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[], $6::timestamptz[])
    AS b (schedule, tick_at, kind, state, execution_id, decided_at)
ON CONFLICT (schedule, tick_at) DO UPDATE SET
    kind = excluded.kind, state = excluded.state, execution_id = excluded.execution_id, decided_at = excluded.decided_at
