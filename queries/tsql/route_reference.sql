-- Rights: SELECT on lpmops.route. What Stream Analytics reads each minute: where each active company lands, and where else while it moves.
SELECT company_id, database_name, also_database FROM lpmops.route WHERE state = 'active'
