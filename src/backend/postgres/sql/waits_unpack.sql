-- there may be a row already: of somebody who held the task, and has asked for it since
INSERT INTO waits (
    task_id, arrivals, mode, ops, missing
)
SELECT
    b.task_id, b.arrivals, b.mode, b.ops, b.missing
FROM unnest(
    $1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::bigint[]
) AS b (
    task_id, arrivals, mode, ops, missing
)
ON CONFLICT (task_id) DO UPDATE SET
    arrivals = excluded.arrivals, mode = excluded.mode, ops = excluded.ops, missing = excluded.missing
