SELECT w.schedule, w.tick_at, w.kind
FROM unnest($1::text[]) AS b (schedule)
CROSS JOIN LATERAL (
    SELECT t.schedule, t.tick_at, t.kind
    FROM schedule_ticks AS t
    WHERE t.schedule = b.schedule AND t.state = 'waiting'
    ORDER BY t.tick_at
    LIMIT 1
) AS w
