SELECT step_name, count(*) AS count
FROM tasks
WHERE limited IS NOT NULL AND step_name = ANY($1::text[]) AND lease_expires_at > $2
GROUP BY step_name
