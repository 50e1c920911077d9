-- Rights: SELECT on lpmops.route in the control database. Every route with all that is known of it, the removed ones too.
SELECT company_id, company, database_name, also_database, state, changed_by, changed_at, asked_at, first_row_at
FROM lpmops.route
