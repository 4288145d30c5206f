UPDATE tasks SET lease_expires_at = $3 WHERE id = $1 AND worker_id = $2 AND state = 'running'
