SELECT t.id
FROM jsonb_each(?1) AS b
CROSS JOIN tasks AS t ON t.execution_id = substr(?2, b.value ->> 0, 16)
LIMIT ?3
