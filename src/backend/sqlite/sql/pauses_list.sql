SELECT p.kind, p.name FROM pauses AS p
UNION ALL
SELECT 'hold', h.function FROM holds AS h WHERE h.concurrency_key = ''
