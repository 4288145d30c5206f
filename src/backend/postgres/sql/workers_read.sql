SELECT
    w.worker_id, w.queues, w.tags, w.started_at, w.seen_at, coalesce(held.count, 0) AS running
FROM workers AS w
LEFT JOIN (
    SELECT t.worker_id, count(*) AS count
    FROM tasks AS t
    WHERE t.lease_expires_at IS NOT NULL AND t.state = 'running'
    GROUP BY t.worker_id
) AS held ON held.worker_id = w.worker_id
ORDER BY w.worker_id
