UPDATE executions SET args = ?2, kwargs = ?3, expiry_at = ?4, expiry_due = ?5 WHERE id = ?1
