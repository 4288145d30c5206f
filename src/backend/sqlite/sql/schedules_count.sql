SELECT
    (SELECT count(*) FROM schedules WHERE due_at IS NOT NULL AND trouble IS NULL) AS active,
    (SELECT count(*) FROM schedules WHERE paused_at IS NOT NULL) AS paused,
    (SELECT coalesce(sum(s.waiting), 0) FROM schedules AS s WHERE s.waiting > 0) AS waiting,
    (SELECT count(*) FROM schedules WHERE trouble IS NOT NULL) AS broken,
    (SELECT coalesce(max(?1 - s.due_at), 0) FROM schedules AS s WHERE s.due_at < ?1) AS late
