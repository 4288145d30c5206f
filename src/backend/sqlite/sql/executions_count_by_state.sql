SELECT CASE WHEN state = 'running' AND ending IS NOT NULL THEN 'cancelling' ELSE state END AS state, count(*) AS count
FROM executions
GROUP BY 1
ORDER BY 1
