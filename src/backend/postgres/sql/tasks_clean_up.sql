-- from the top, with all that it had issued over; what it comes to is no result of the call
UPDATE tasks
SET state = 'pending',
    lane = route,
    readied = txid_current(),
    due_at = NULL,
    fence = fence + 1,
    cleanup = coalesce((SELECT max(c.op) FROM tasks AS c WHERE c.parent_task_id = tasks.id), 0),
    crashes = 0,
    company = NULL,
    started_at = NULL,
    deadline_at = NULL,
    scheduled_for = NULL,
    cache_key = NULL,
    stopped = NULL
WHERE id = ANY($1::uuid[]) AND state IN ('pending', 'waiting')
