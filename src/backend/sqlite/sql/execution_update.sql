UPDATE executions
SET state = ?2,
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
