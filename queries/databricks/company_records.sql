-- Rights: SELECT on the table, CAN USE on the warehouse. How many records the source has of some companies.
SELECT CAST({key} AS STRING) AS company_id, COUNT(*) AS records
FROM {table}
WHERE {key} IN ({companies})
GROUP BY CAST({key} AS STRING)
