SELECT slots_settle() AS ready
