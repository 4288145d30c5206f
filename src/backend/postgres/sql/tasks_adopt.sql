UPDATE tasks
SET lease_expires_at = $3
FROM unnest($1::uuid[], $2::bigint[]) AS b (id, fence)
WHERE tasks.id = b.id AND tasks.fence = b.fence AND tasks.worker_id = $4 AND tasks.state = 'running'
RETURNING tasks.id, tasks.fence
