-- there may be a row already: of somebody who held the task, and has asked for it since
INSERT INTO waits (task_id, arrivals, mode, ops, missing)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (task_id) DO UPDATE SET
    arrivals = excluded.arrivals, mode = excluded.mode, ops = excluded.ops, missing = excluded.missing
