-- still due, and nobody else is at it
SELECT id
FROM tasks
WHERE id = ANY($1::uuid[]) AND (due_at <= $2 OR (lease_expires_at < $2 AND state = 'running'))
ORDER BY id
FOR UPDATE SKIP LOCKED
