SELECT t.id, t.state, t.fence, t.ops, t.effects, e.state AS execution_state
FROM jsonb_each(?1) AS b
JOIN tasks AS t ON t.id = substr(?2, b.value ->> 0, 16)
JOIN executions AS e ON e.id = t.execution_id
