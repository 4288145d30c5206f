UPDATE schedule_ticks SET state = 'skipped', decided_at = ?2 WHERE schedule = ?1 AND state = 'waiting'
