-- Rights: SELECT on lpm.tdr. What landed of some versions, by company: how many rows, and the sum of the numbers of their keys.
-- A key is record|version|change; its number is the first 56 bits of its SHA-256. The source counts and sums the same (databricks/changes_by_company.sql).
SELECT
    landed.company_id, COUNT_BIG(*) AS changes,
    SUM(CAST(CAST(SUBSTRING(HASHBYTES('SHA2_256', CAST(
        CONCAT(landed.record_id, '|', landed.commit_version, '|', landed.change_type) COLLATE Latin1_General_100_BIN2_UTF8 AS VARCHAR(400)
    )), 1, 7) AS BIGINT) AS DECIMAL(38, 0))) AS digest
FROM lpm.tdr AS landed
WHERE landed.commit_version BETWEEN ? AND ?
GROUP BY landed.company_id
