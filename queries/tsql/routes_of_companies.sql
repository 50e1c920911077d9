-- Rights: SELECT on lpmops.route in the control database. The routes of some companies (a JSON list), by the table's primary key.
SELECT
    route.company_id, route.company, route.database_name, route.also_database, route.state, route.changed_by, route.changed_at,
    route.asked_at, route.first_row_at
FROM OPENJSON(?) WITH (company_id NVARCHAR(64) '$.company_id') AS wished
JOIN lpmops.route AS route ON route.company_id = wished.company_id COLLATE Latin1_General_100_BIN2
