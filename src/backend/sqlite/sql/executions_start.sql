UPDATE executions SET state = 'running', started_at = ?3
WHERE id IN (SELECT substr(?2, value ->> 0, 16) FROM jsonb_each(?1)) AND state = 'pending'
