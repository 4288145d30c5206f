SELECT number FROM boots WHERE boot_id = ?1
