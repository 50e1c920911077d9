-- Rights: SELECT on lpm.tdr. Which of these changes (a JSON list of lists: company, record, version, change) are there.
SELECT landed.company_id, landed.record_id, landed.commit_version, landed.change_type
FROM OPENJSON(?) WITH (
    company_id NVARCHAR(64) '$[0]', record_id NVARCHAR(64) '$[1]', commit_version BIGINT '$[2]', change_type NVARCHAR(20) '$[3]'
) AS wished
JOIN lpm.tdr AS landed
    ON landed.company_id = wished.company_id COLLATE Latin1_General_100_BIN2
    AND landed.record_id = wished.record_id COLLATE Latin1_General_100_BIN2 AND landed.commit_version = wished.commit_version
    AND landed.change_type = wished.change_type COLLATE Latin1_General_100_BIN2
