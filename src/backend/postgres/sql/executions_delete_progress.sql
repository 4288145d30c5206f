DELETE FROM execution_progress
WHERE sequence = ANY(ARRAY(SELECT s.sequence FROM execution_progress AS s WHERE s.execution_id = ANY($1::uuid[]) LIMIT $2))
