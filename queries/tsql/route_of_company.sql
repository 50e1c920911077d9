-- Rights: SELECT on lpmops.route in the control database. Where one company lands, by the table's primary key.
SELECT route.database_name FROM lpmops.route AS route WHERE route.company_id = ?
