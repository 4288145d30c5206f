UPDATE schedules
SET next_at = b.next_at, due_at = b.due_at, last_execution = b.last_execution, waiting = b.waiting, trouble = b.trouble
FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::uuid[], $5::bigint[], $6::text[])
    AS b (name, next_at, due_at, last_execution, waiting, trouble)
WHERE schedules.name = b.name
