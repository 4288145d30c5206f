-- its fence grows with the first claim
UPDATE tasks
SET args = $2,
    kwargs = $3,
    lane = CASE WHEN $4::timestamptz IS NULL THEN route END,
    readied = CASE WHEN $4::timestamptz IS NULL THEN txid_current() END,
    due_at = $4,
    scheduled_for = $5
WHERE id = $1 AND state = 'pending' AND fence = 0
