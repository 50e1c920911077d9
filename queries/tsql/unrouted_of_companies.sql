-- Rights: SELECT on lpmops.unrouted in the control database. What no route took of some companies (a JSON list) since a moment, NULL for ever:
-- how many changes, and of which versions of the source table.
SELECT
    wished.company_id, COUNT_BIG(*) AS events,
    MIN(unrouted.commit_version) AS first_version, MAX(unrouted.commit_version) AS last_version, MIN(unrouted.landed_at) AS first_at
FROM OPENJSON(?) WITH (company_id NVARCHAR(64) '$.company_id') AS wished
JOIN lpmops.unrouted AS unrouted
    ON unrouted.company_id COLLATE Latin1_General_100_BIN2 = wished.company_id COLLATE Latin1_General_100_BIN2
WHERE unrouted.landed_at >= COALESCE(CAST(? AS DATETIME2(3)), CAST('0001-01-01' AS DATETIME2(3)))
GROUP BY wished.company_id
