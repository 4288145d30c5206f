-- waits for whoever claims one: it is his then
UPDATE tasks SET lane = route, readied = txid_current(), due_at = NULL
WHERE id = ANY(
    ARRAY(
        SELECT t.id FROM tasks AS t WHERE t.lane < 0 AND t.route = ANY($1::bigint[]) ORDER BY t.id FOR NO KEY UPDATE
    )
)
