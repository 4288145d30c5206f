SELECT step_name, count(*) AS count
FROM tasks INDEXED BY tasks_leased
WHERE lease_boot = ?2
    AND lease_until >= ?3
    AND state = 'running'
    AND step_name IN (SELECT value FROM json_each(?4))
GROUP BY step_name
