-- Rights: SELECT on lpm.tdr. How many of these changes of a company (a JSON list of lists: record, version, change) are there.
SELECT COUNT_BIG(*) AS row_count
FROM OPENJSON(?) WITH (record_id NVARCHAR(64) '$[0]', commit_version BIGINT '$[1]', change_type NVARCHAR(20) '$[2]') AS wished
JOIN lpm.tdr AS landed
    ON landed.record_id = wished.record_id COLLATE Latin1_General_100_BIN2 AND landed.commit_version = wished.commit_version
    AND landed.change_type = wished.change_type COLLATE Latin1_General_100_BIN2
WHERE landed.company_id = ?
