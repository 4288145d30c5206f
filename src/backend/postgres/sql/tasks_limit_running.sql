UPDATE tasks SET limited = true WHERE lease_expires_at IS NOT NULL AND state = 'running' AND step_name = $1
