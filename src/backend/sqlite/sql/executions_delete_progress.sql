DELETE FROM execution_progress
WHERE sequence IN (
    SELECT p.sequence
    FROM jsonb_each(?1) AS b
    CROSS JOIN execution_progress AS p ON p.execution_id = substr(?2, b.value ->> 0, 16)
    LIMIT ?3
)
