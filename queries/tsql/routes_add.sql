-- Rights: SELECT, INSERT and DELETE on lpmops.route. Routes for a list of companies (JSON), all of them or none; a removed one is made anew.
SET XACT_ABORT ON
BEGIN TRANSACTION
DELETE FROM lpmops.route
WHERE state = 'removed' AND company_id IN (
    SELECT wished.company_id COLLATE Latin1_General_100_BIN2
    FROM OPENJSON(?) WITH (company_id NVARCHAR(64) '$.company_id') AS wished
)
INSERT INTO lpmops.route (company_id, company, database_name, asked_at, changed_by)
SELECT wished.company_id, wished.company, wished.database_name, CAST(? AS DATETIME2(3)), ?
FROM OPENJSON(?) WITH (
    company_id NVARCHAR(64) '$.company_id', company NVARCHAR(200) '$.company', database_name NVARCHAR(128) '$.database'
) AS wished
WHERE NOT EXISTS (
    SELECT 1 FROM lpmops.route AS present WHERE present.company_id = wished.company_id COLLATE Latin1_General_100_BIN2
)
COMMIT TRANSACTION
