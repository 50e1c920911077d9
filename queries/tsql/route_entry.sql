-- Rights: SELECT on lpmops.route in the control database. One company's route with all that is known of it, by the table's primary key.
SELECT company_id, company, database_name, also_database, state, changed_by, changed_at, asked_at, first_row_at
FROM lpmops.route
WHERE company_id = ?
