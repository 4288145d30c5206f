SELECT tick_at, kind, state, execution_id, decided_at
FROM schedule_ticks
WHERE schedule = ?1
ORDER BY tick_at DESC
LIMIT ?2
