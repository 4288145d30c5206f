SELECT replay_of FROM executions WHERE id = $1 AND replay_of IS NOT NULL
