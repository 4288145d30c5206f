UPDATE tasks
SET arrival = b.arrival
FROM unnest($1::uuid[], $2::bigint[]) AS b (id, arrival)
WHERE tasks.id = ANY (ARRAY[b.id])
