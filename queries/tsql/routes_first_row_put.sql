-- Rights: SELECT and UPDATE on lpmops.route. When the first rows of some companies (a JSON list) landed.
UPDATE route SET first_row_at = CAST(wished.first_row_at AS DATETIME2(3))
FROM lpmops.route AS route
JOIN OPENJSON(?) WITH (company_id NVARCHAR(64) '$.company_id', first_row_at NVARCHAR(40) '$.first_row_at') AS wished
    ON route.company_id = wished.company_id COLLATE Latin1_General_100_BIN2
WHERE route.first_row_at IS NULL
