-- not needed: now
UPDATE tasks
SET lane = route, readied = txid_current(), due_at = NULL
WHERE id = ANY($1::uuid[]) AND state = 'pending'
