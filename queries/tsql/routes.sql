-- Rights: SELECT on lpmops.route in the control database. Which company lands where.
SELECT company_id, company, database_name, state, changed_at FROM lpmops.route
