SELECT t.id, t.fairness_key, t.fairness_weight
FROM unnest($1::uuid[]) AS b (id)
JOIN tasks AS t ON t.id = b.id
WHERE t.fairness_key <> ''
