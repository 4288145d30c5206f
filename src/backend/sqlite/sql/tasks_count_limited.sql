SELECT count(*) AS count FROM tasks INDEXED BY tasks_limited
WHERE limited IS NOT NULL AND step_name = ?1 AND lease_boot = ?3 AND lease_until > ?4
