SELECT t.id, t.state, t.fence, t.ops - coalesce(t.aside, 0) AS ops, t.effects, e.state AS execution_state
FROM tasks AS t
JOIN executions AS e ON e.id = t.execution_id
WHERE t.id = ?1
