DELETE FROM schedule_ticks
WHERE schedule = ?1 AND state <> 'waiting' AND tick_at < (
    SELECT t.tick_at FROM schedule_ticks AS t WHERE t.schedule = ?1 ORDER BY t.tick_at DESC LIMIT 1 OFFSET ?2
)
