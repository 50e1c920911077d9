-- Rights: SELECT on the table, CAN USE on the warehouse. The changes that are sent, by company: how many, and the sum of the numbers of their keys.
-- A key is record|version|change; its number is the first 56 bits of its SHA-256. The landing tables count and sum the same (tsql/landed_by_company.sql).
SELECT CAST({key} AS STRING) AS company_id, COUNT(*) AS changes,
  SUM(CAST(CONV(SUBSTRING(SHA2(CONCAT_WS('|', CAST({record} AS STRING), CAST(_commit_version AS STRING), _change_type), 256), 1, 14), 16, 10) AS DECIMAL(20, 0))) AS digest
FROM table_changes({table}, {first}, {last})
WHERE _change_type <> 'update_preimage'
GROUP BY CAST({key} AS STRING)
