SELECT p.kind, p.name, NULL AS rate FROM pauses AS p
UNION ALL
SELECT 'hold', h.function, NULL FROM holds AS h WHERE h.concurrency_key = ''
UNION ALL
SELECT 'rate', r.name, r.rate FROM rates AS r WHERE r.kind = 'queue' AND r.rate IS NOT NULL
