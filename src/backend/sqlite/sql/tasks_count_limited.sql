SELECT count(*) FROM tasks INDEXED BY tasks_limited
WHERE limited IS NOT NULL AND step_name = ?1 AND lease_boot = ?2 AND lease_until > ?3
