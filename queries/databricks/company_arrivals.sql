-- Rights: SELECT on the table, CAN USE on the warehouse. New records by company since a moment, by the change feed: the busiest first.
SELECT CAST({key} AS STRING) AS company_id, COUNT(*) AS records, MIN(_commit_timestamp) AS first_at
FROM table_changes({table}, {since})
WHERE _change_type = 'insert'
GROUP BY CAST({key} AS STRING)
ORDER BY COUNT(*) DESC
LIMIT {limit}
