SELECT state, count(*) AS count FROM tasks GROUP BY state ORDER BY state
