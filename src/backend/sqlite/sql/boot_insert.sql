INSERT INTO boots (boot_id) VALUES (?1) ON CONFLICT (boot_id) DO NOTHING
