-- what others hold they see to themselves
UPDATE rates SET due_at = NULL
WHERE (kind, name) IN (
    SELECT r.kind, r.name FROM rates AS r WHERE r.due_at <= $1::timestamptz FOR NO KEY UPDATE SKIP LOCKED
)
