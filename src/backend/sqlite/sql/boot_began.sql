-- what waits, waits by this boot
UPDATE boots SET began = CASE number WHEN ?1 THEN ?2 END WHERE number = ?1 OR began IS NOT NULL
