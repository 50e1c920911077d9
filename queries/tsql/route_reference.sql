-- Rights: SELECT on lpmops.route. What Stream Analytics reads each minute: where each active company lands.
SELECT company_id, database_name FROM lpmops.route WHERE state = 'active'
