DELETE FROM functions WHERE name = ?1
