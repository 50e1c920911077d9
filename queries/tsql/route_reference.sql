-- Rights: SELECT on lpmops.route. What Stream Analytics reads each minute: where each active company lands, and where else while it moves; where one that
-- was paused or removed landed; and from when on every job has read that: two minutes, as a reading that fails is made good by the next.
SELECT
    company_id,
    CASE WHEN state = 'active' THEN database_name END AS database_name,
    also_database,
    CASE WHEN state <> 'active' THEN database_name END AS former_database,
    DATEADD(SECOND, 120, changed_at) AS settled_at
FROM lpmops.route
