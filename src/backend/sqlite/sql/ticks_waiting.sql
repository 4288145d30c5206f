SELECT schedule, tick_at, kind
FROM schedule_ticks
WHERE schedule = ?1 AND state = 'waiting'
ORDER BY tick_at
LIMIT 1
