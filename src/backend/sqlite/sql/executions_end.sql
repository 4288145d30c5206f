UPDATE executions
SET state = ?2, result = ?3, error = ?4, retries = ?5, completed_at = ?6
WHERE id = ?1 AND state IN ('pending', 'running')
