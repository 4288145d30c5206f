SELECT txid_current_if_assigned() AS number
