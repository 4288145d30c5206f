SELECT count(*) AS count
FROM executions
WHERE ?1 IS NULL OR CASE WHEN state = 'running' AND ending IS NOT NULL THEN 'cancelling' ELSE state END = ?1
