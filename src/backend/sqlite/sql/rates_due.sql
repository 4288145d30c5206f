UPDATE rates SET due_at = NULL WHERE due_at <= ?1
