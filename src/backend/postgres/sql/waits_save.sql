UPDATE waits
SET arrivals = b.arrivals, mode = b.mode, ops = b.ops, missing = b.missing
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::bigint[]) AS b (task_id, arrivals, mode, ops, missing)
WHERE waits.task_id = ANY (ARRAY[b.task_id])
