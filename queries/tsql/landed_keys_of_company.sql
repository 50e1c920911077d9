-- Rights: SELECT on lpm.tdr. The keys of a company's rows of some versions behind a key, each with how often it is there.
SELECT TOP (20000) landed.record_id, landed.commit_version, landed.change_type, COUNT_BIG(*) AS changes
FROM lpm.tdr AS landed
WHERE landed.company_id = ? AND landed.commit_version BETWEEN ? AND ? AND (
    landed.record_id > ? OR (landed.record_id = ? AND (landed.commit_version > ? OR (landed.commit_version = ? AND landed.change_type > ?)))
)
GROUP BY landed.record_id, landed.commit_version, landed.change_type
ORDER BY landed.record_id, landed.commit_version, landed.change_type
