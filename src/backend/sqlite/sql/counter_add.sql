-- a sum that does not fit 64 bits becomes a real number
INSERT INTO execution_counters (execution_id, name, value) VALUES (?1, ?2, coalesce(?3, ?4))
ON CONFLICT (execution_id, name) DO UPDATE SET value = value + excluded.value
RETURNING
    CASE typeof(value) WHEN 'integer' THEN value END AS whole, CASE typeof(value) WHEN 'real' THEN value END AS fraction
