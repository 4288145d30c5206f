UPDATE executions SET args = $2, kwargs = $3, expiry_at = $4, due_at = $4 WHERE id = $1
