SELECT t.step_name AS function, count(*) AS count FROM tasks AS t WHERE t.slot IN (0, 2) GROUP BY t.step_name ORDER BY t.step_name
