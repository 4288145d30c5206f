UPDATE tasks
SET arrival = b.arrival
FROM (SELECT substr(?2, value ->> 0, 16) AS id, value ->> 1 AS arrival FROM jsonb_each(?1)) AS b
WHERE tasks.id = b.id
