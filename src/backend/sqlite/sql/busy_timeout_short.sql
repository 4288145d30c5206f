PRAGMA busy_timeout = 20
