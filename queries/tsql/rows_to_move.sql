-- Rights: SELECT on lpm.tdr. The next rows of a company behind a key, in the order of ux_tdr_change.
SELECT TOP (500) landed.*
FROM lpm.tdr AS landed
WHERE landed.company_id = ? AND (
    landed.record_id > ? OR (landed.record_id = ? AND (landed.commit_version > ? OR (landed.commit_version = ? AND landed.change_type > ?)))
)
ORDER BY landed.record_id, landed.commit_version, landed.change_type
