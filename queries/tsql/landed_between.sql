-- Rights: SELECT on lpm.tdr. Rows by company that landed from a moment up to, not including, another: what no increment has counted yet.
SELECT landed.company_id, COUNT_BIG(*) AS events, MAX(landed.landed_at) AS landed_at
FROM lpm.tdr AS landed
WHERE landed.landed_at >= CAST(? AS DATETIME2(3)) AND landed.landed_at < CAST(? AS DATETIME2(3))
GROUP BY landed.company_id
