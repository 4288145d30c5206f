-- one that cleans up is told as cancelling, and is left at it by who writes that back
UPDATE executions
SET state = CASE WHEN ?2 = 'cancelling' AND state = 'running' AND ending IS NOT NULL THEN state ELSE ?2 END,
    args = ?3,
    kwargs = ?4,
    retries = ?5,
    started_at = ?6,
    completed_at = ?7,
    expiry_at = ?8,
    expiry_due = CASE WHEN expiry_at IS ?8 THEN expiry_due ELSE ?9 END,
    ending = CASE ?2 WHEN 'cancelling' THEN ifnull(ending, 'cancelled') END,
    tags = ?10,
    priority = ?11,
    queue = ?12,
    result = ?13,
    error = ?14
WHERE id = ?1
