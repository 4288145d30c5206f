SELECT t.id, t.fairness_key, t.fairness_weight
FROM tasks AS t
WHERE t.id = ?1 AND t.fairness_key <> ''
