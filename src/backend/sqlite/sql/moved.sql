SELECT m.execution_id, m.place
FROM jsonb_each(?1) AS b
CROSS JOIN moves AS m ON m.execution_id = substr(?2, b.value ->> 0, 16)
WHERE m.place <> 'here'
