-- one that cleans up is told as cancelling, and is left at it by who writes that back
-- when it started is told by this record, and no longer by its root
WITH told AS (
    UPDATE tasks
    SET opened_at = NULL
    WHERE id = (SELECT e.root_task_id FROM executions AS e WHERE e.id = $1) AND opened_at IS NOT NULL
)
UPDATE executions
SET state = CASE WHEN $2::text = 'cancelling' AND state = 'running' AND ending IS NOT NULL THEN state ELSE $2 END,
    args = $3,
    kwargs = $4,
    retries = $5,
    started_at = $6,
    completed_at = $7,
    expiry_at = $8,
    due_at = CASE WHEN $2::text IN ('pending', 'running') AND $7::timestamptz IS NULL THEN $8::timestamptz END,
    ended_before = CASE WHEN $7::timestamptz < created_at THEN $7::timestamptz END,
    ending = CASE $2::text WHEN 'cancelling' THEN coalesce(ending, 'cancelled') END,
    tags = $9::text::jsonb,
    priority = $10,
    queue = $11,
    result = $12,
    error = $13
WHERE id = $1
