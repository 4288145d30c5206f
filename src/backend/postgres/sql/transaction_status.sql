SELECT txid_status($1) AS status
