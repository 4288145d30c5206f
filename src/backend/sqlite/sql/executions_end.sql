-- one that cleans up ends as what it was coming to, when nobody holds a lease in it
SELECT id, CASE WHEN ending IS NULL THEN ?2 ELSE 'cancelling' END AS state, rowid AS number
FROM executions
WHERE id = ?1 AND state IN ('pending', 'running');
UPDATE executions
SET state = CASE WHEN ending IS NULL THEN ?2 ELSE 'cancelling' END,
    result = ?3,
    error = ?4,
    retries = ?5,
    completed_at = CASE WHEN ending IS NULL THEN ?6 END
WHERE rowid = @number
