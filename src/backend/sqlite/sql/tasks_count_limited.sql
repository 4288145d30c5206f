SELECT step_name, count(*) AS count FROM tasks INDEXED BY tasks_limited
WHERE limited IS NOT NULL
    AND step_name IN (SELECT value FROM json_each(?1))
    AND lease_boot = ?3
    AND lease_until > ?4
GROUP BY step_name
