SELECT h.function FROM holds AS h WHERE h.function = ANY($1::text[]) AND h.concurrency_key = '' AND h.ends_at > $2::timestamptz
