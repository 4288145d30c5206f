SELECT
    (SELECT count(*) FROM tasks WHERE due_at IS NOT NULL AND state = 'pending' AND lane IS NULL)
        AS scheduled,
    (SELECT count(*) FROM dead_letters) AS dead_letters,
    (SELECT count(*) FROM tasks WHERE parked IS NOT NULL) AS parked,
    (SELECT count(*) FROM workers) AS workers
