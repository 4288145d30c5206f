UPDATE executions
SET cleanup_due = cleanup_due - 4611686018427387904 + ?1
WHERE cleanup_due >= 4611686018427387904 AND state = 'running'
