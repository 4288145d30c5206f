SELECT id, attempts FROM tasks WHERE execution_id = ?1 AND attempts IS NOT NULL ORDER BY id
