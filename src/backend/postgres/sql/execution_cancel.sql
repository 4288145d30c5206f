UPDATE executions SET state = 'cancelling', ending = 'cancelled', due_at = NULL, cancel_reason = $2
WHERE id = $1 AND state IN ('pending', 'running') AND ending IS NULL
