SELECT i.value, i.owner, i.args_hash, t.state, t.result
FROM idempotency AS i
LEFT JOIN tasks AS t ON t.id = ANY (ARRAY[i.owner])
WHERE i.key = $1 AND (i.expires_at IS NULL OR i.expires_at > $2)
