UPDATE tasks SET state = 'cancelled', result = NULL WHERE id = ?1 AND kind = 'signal' AND state = 'completed'
