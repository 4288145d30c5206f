INSERT INTO schedule_ticks (schedule, tick_at, kind, state, execution_id, decided_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (schedule, tick_at) DO UPDATE SET
    kind = excluded.kind, state = excluded.state, execution_id = excluded.execution_id, decided_at = excluded.decided_at
