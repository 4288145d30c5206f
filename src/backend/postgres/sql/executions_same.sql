SELECT count(*) AS count
FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[]) AS b (id, root_function, args, kwargs)
JOIN executions AS e ON e.id = b.id
WHERE e.root_function = b.root_function
    AND e.args IS NOT DISTINCT FROM b.args
    AND e.kwargs IS NOT DISTINCT FROM b.kwargs
