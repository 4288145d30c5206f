UPDATE executions SET state = 'cancelling', ending = 'cancelled', cancel_reason = ?2
WHERE id = ?1 AND state IN ('pending', 'running') AND ending IS NULL
