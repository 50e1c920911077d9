-- Rights: SELECT on lpm.tdr. The newest changes that landed for one company, up to a moment; NULL stands for now.
-- Served by ix_tdr_company_landed_at, read backwards from the moment: 40 entries and their rows, however many the table has. A further key in
-- ORDER BY would sort all rows of the company, so rows of one millisecond come in no order. The columns are those that the table has.
SELECT TOP (40) landed.*
FROM lpm.tdr AS landed
WHERE landed.company_id = ? AND landed.landed_at <= COALESCE(CAST(? AS DATETIME2(3)), CAST('9999-12-31T23:59:59.999' AS DATETIME2(3)))
ORDER BY landed.landed_at DESC
