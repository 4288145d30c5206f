SELECT count(*) AS count FROM tasks WHERE limited IS NOT NULL AND step_name = $1 AND lease_expires_at > $2
