UPDATE tasks SET state = 'cancelled', result = NULL, arrival = $2
WHERE id = $1 AND kind = 'signal' AND state = 'completed'
