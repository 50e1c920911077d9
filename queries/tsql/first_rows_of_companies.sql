-- Rights: SELECT on lpm.tdr. The first row of some companies (a JSON list) that landed since a moment, by ix_tdr_company_landed_at.
SELECT landed.company_id, MIN(landed.landed_at) AS landed_at
FROM OPENJSON(?) WITH (company_id NVARCHAR(64) '$.company_id') AS wished
JOIN lpm.tdr AS landed ON landed.company_id = wished.company_id COLLATE Latin1_General_100_BIN2
WHERE landed.landed_at >= CAST(? AS DATETIME2(3))
GROUP BY landed.company_id
