SELECT step_name, count(*) AS count
FROM tasks INDEXED BY tasks_leased
WHERE lease_boot = ?1
    AND lease_until >= ?2
    AND state = 'running'
    AND step_name IN (SELECT value FROM json_each(?3))
GROUP BY step_name
