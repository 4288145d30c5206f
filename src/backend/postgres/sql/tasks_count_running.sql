SELECT step_name, count(*) AS count
FROM tasks
WHERE lease_expires_at >= $1 AND state = 'running' AND step_name = ANY($2::text[])
GROUP BY step_name
