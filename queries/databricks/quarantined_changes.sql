-- Rights: SELECT on the quarantine table, CAN USE on the warehouse. The keys of changes that were too large to be sent, of chosen companies.
SELECT DISTINCT info_companyid AS company_id, tdr_id AS record_id, commit_version, change_type
FROM {table}
WHERE commit_version BETWEEN {first} AND {last} AND info_companyid IN ({companies})
ORDER BY commit_version, tdr_id, change_type
LIMIT {limit}
