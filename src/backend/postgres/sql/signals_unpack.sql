INSERT INTO signals (execution_id, name, id, payload, created_at, consumed, consumed_at, consumed_by)
SELECT b.execution_id, b.name, b.id, b.payload, b.created_at, b.consumed, b.consumed_at, b.consumed_by
FROM unnest(
    $1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[], $6::boolean[], $7::timestamptz[], $8::uuid[]
) WITH ORDINALITY AS b (execution_id, name, id, payload, created_at, consumed, consumed_at, consumed_by, position)
ORDER BY b.position
