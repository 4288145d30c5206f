UPDATE executions
SET expiry_due = expiry_due - 4611686018427387904 + ?1
WHERE expiry_due >= 4611686018427387904 AND ending IS NULL AND completed_at IS NULL
