DELETE FROM schedule_ticks
USING unnest($1::text[]) AS b (schedule)
WHERE schedule_ticks.schedule = b.schedule AND schedule_ticks.state <> 'waiting' AND schedule_ticks.tick_at < (
    SELECT t.tick_at FROM schedule_ticks AS t WHERE t.schedule = b.schedule ORDER BY t.tick_at DESC LIMIT 1 OFFSET $2
)
