SELECT state, count(*) AS count FROM executions GROUP BY state ORDER BY state
