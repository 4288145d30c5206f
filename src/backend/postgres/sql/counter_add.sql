-- a sum that does not fit 64 bits becomes a real number
INSERT INTO execution_counters AS c (execution_id, name, whole, fraction) VALUES ($1, $2, $3, $4)
ON CONFLICT (execution_id, name) DO UPDATE SET
    whole = CASE
        WHEN c.whole::numeric + excluded.whole BETWEEN -9223372036854775808 AND 9223372036854775807
            THEN c.whole + excluded.whole
    END,
    fraction = CASE
        WHEN c.whole::numeric + excluded.whole BETWEEN -9223372036854775808 AND 9223372036854775807 THEN NULL
        ELSE coalesce(c.whole::double precision, c.fraction) + coalesce(excluded.whole::double precision, excluded.fraction)
    END
RETURNING whole, fraction
