DELETE FROM signals
WHERE sequence IN (
    SELECT s.sequence
    FROM jsonb_each(?1) AS b
    CROSS JOIN signals AS s ON s.execution_id = substr(?2, b.value ->> 0, 16)
    LIMIT ?3
)
