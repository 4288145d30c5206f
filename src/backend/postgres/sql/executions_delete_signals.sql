DELETE FROM signals
WHERE sequence = ANY(ARRAY(SELECT s.sequence FROM signals AS s WHERE s.execution_id = ANY($1::uuid[]) LIMIT $2))
