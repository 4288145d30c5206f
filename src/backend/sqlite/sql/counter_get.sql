SELECT
    CASE typeof(value) WHEN 'integer' THEN value END AS whole,
    CASE typeof(value) WHEN 'real' THEN value END AS fraction
FROM execution_counters
WHERE execution_id = ?1 AND name = ?2
