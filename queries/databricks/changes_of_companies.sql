-- Rights: SELECT on the table, CAN USE on the warehouse. The keys of chosen companies' changes, oldest version first, from a record id on.
SELECT CAST({key} AS STRING) AS company_id, CAST({record} AS STRING) AS record_id, _commit_version AS commit_version, _change_type AS change_type
FROM table_changes({table}, {first}, {last})
WHERE _change_type <> 'update_preimage' AND CAST({key} AS STRING) IN ({companies}) AND COALESCE(CAST({record} AS STRING), '') >= :after
ORDER BY _commit_version, CAST({record} AS STRING), CAST({key} AS STRING), _change_type
LIMIT {limit}
