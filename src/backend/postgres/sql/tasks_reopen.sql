UPDATE tasks
SET state = 'pending', lane = route, readied = txid_current(), arrival = NULL, error = NULL, completed_at = NULL, started_at = NULL,
    deadline_at = NULL, retries = 0, crashes = 0, deaths = 0, snoozes = NULL, first_started_at = NULL, company = NULL, fence = fence + 1
WHERE id = ANY($1::uuid[])
