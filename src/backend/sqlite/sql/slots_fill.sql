INSERT INTO slots_to_fill (function, concurrency_key) VALUES (?1, ?2)
