UPDATE executions SET args = $2, kwargs = $3 WHERE id = $1
