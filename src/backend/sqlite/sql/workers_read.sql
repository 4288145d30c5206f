SELECT
    w.worker_id, w.queues, w.tags, w.started_at, w.seen_at, ifnull(held.count, 0) AS running
FROM workers AS w
LEFT JOIN (
    SELECT t.worker_id, count(*) AS count
    FROM tasks AS t INDEXED BY tasks_leased
    WHERE t.lease_until IS NOT NULL
    GROUP BY t.worker_id
) AS held ON held.worker_id = w.worker_id
ORDER BY w.worker_id
