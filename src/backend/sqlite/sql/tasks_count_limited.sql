SELECT count(*) FROM tasks
WHERE limited IS NOT NULL AND step_name = ?1 AND lease_boot = ?2 AND lease_until > ?3
