-- back to the worker that suspended it, for a while, if there are others; what is limited is claimed by its route alone, where it
-- is counted; and what is paused, where nobody looks
UPDATE tasks
SET state = 'pending',
    readied = txid_current(),
    (lane, due_at) = (
        SELECT coalesce(-w.number, tasks.route), CASE WHEN w.number IS NOT NULL THEN $2::timestamptz END
        FROM (SELECT tasks.worker_id WHERE $4::boolean AND NOT tasks.step_name = ANY($3::text[]) AND NOT tasks.route = ANY($5::bigint[])) AS own
        RIGHT JOIN (SELECT 1) AS one ON true
        LEFT JOIN workers AS w ON w.worker_id = own.worker_id
    )
WHERE id = ANY($1::uuid[])
    AND state = 'waiting'
    AND stopped IS NULL
    AND parked IS NULL
    AND joins IS NULL
