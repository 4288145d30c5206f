DELETE FROM schedule_ticks WHERE schedule = ?1
