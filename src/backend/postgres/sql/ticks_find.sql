SELECT tick_at, state FROM schedule_ticks WHERE schedule = $1 AND tick_at BETWEEN $2 AND $3
