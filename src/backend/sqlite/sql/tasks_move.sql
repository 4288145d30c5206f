-- moves: 0 hold, 1 retry, 2 suspend, 3 release, 4 park, 5 continue, 6 snooze. New operations reset `crashes`; effects alone do so
-- only with a journal, as without one the next attempt records them again
SELECT t.id, t.step_name, t.rowid AS number
FROM tasks AS t
WHERE t.id = ?1
    AND t.fence = ?2
    AND t.state = 'running'
    AND t.ops = coalesce(?12 + ifnull(t.aside, 0), t.ops)
    AND t.effects = coalesce(?13, t.effects)
    AND (SELECT e.state FROM executions AS e WHERE e.id = t.execution_id) IN ('pending', 'running');
UPDATE tasks
SET state = CASE ?3 WHEN 0 THEN 'running' WHEN 2 THEN 'waiting' WHEN 4 THEN 'waiting' ELSE 'pending' END,
    lane = CASE WHEN ?3 IN (1, 3, 5, 6) AND ?5 IS NULL THEN route END,
    due_at = CASE ?3 WHEN 0 THEN due_at WHEN 1 THEN ?5 WHEN 6 THEN ?5 WHEN 2 THEN deadline_at END,
    scheduled_for = CASE WHEN ?3 IN (1, 6) THEN ?4 ELSE scheduled_for END,
    error = CASE WHEN ?3 IN (1, 4) THEN ?6 WHEN ?3 = 5 THEN NULL ELSE error END,
    attempts = CASE WHEN ?3 IN (1, 6) THEN
        CASE ?3 WHEN 6 THEN '{"snoozes":' || (snoozes + 1) || ',' ELSE '{' END || '"started":' || ifnull(started_at, 'null') || ',"worker":' || json_quote(worker_id) || ',' || ?15
        || substr(ifnull(attempts, ''), 1, 4096)
        ELSE attempts END,
    retries = retries + (?3 = 1),
    snoozes = snoozes + (?3 = 6),
    first_started_at = CASE
        WHEN ?3 IN (1, 6) THEN coalesce(first_started_at, started_at) WHEN ?3 = 5 THEN ?16 ELSE first_started_at
    END,
    crashes = CASE WHEN ?3 IN (1, 2, 5, 6) OR ?7 > 0 OR (?8 > 0 AND ops > 0) THEN 0 ELSE crashes END,
    company = CASE WHEN ?3 IN (1, 2, 5, 6) OR ?7 > 0 OR (?8 > 0 AND ops > 0) THEN NULL ELSE company END,
    begun = CASE ?3 WHEN 0 THEN coalesce(?14, begun) END,
    started_at = CASE WHEN ?3 IN (1, 6) OR (?3 = 3 AND ops = 0) THEN NULL ELSE started_at END,
    deadline_at = CASE WHEN ?3 IN (1, 5, 6) OR (?3 = 3 AND ops = 0) THEN NULL ELSE deadline_at END,
    lease_expires_at = CASE ?3 WHEN 0 THEN lease_expires_at END,
    lease_boot = CASE ?3 WHEN 0 THEN lease_boot END,
    lease_until = CASE ?3 WHEN 0 THEN lease_until END,
    limited = CASE ?3 WHEN 0 THEN limited END,
    worker_id = CASE WHEN ?3 IN (0, 2) THEN worker_id END,
    parked = CASE ?3 WHEN 4 THEN 1 END,
    parked_version = CASE ?3 WHEN 4 THEN ?10 END,
    run = run + (?3 = 5),
    ops = CASE ?3 WHEN 5 THEN 0 ELSE ops + ?7 END,
    aside = CASE WHEN ?17 THEN ifnull(aside, 0) + 1 WHEN ?3 = 0 THEN aside END,
    effects = CASE ?3 WHEN 5 THEN 0 ELSE effects + ?8 END,
    opened = CASE ?3 WHEN 5 THEN NULL ELSE opened END,
    heartbeat = coalesce(?9, heartbeat),
    args = CASE ?3 WHEN 5 THEN ?11 ELSE args END
WHERE rowid = @number
