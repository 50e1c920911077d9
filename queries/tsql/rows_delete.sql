-- Rights: SELECT and DELETE on lpm.tdr. Take these changes of a company (a JSON list of lists: record, version, change) out of a table.
DELETE FROM lpm.tdr
WHERE EXISTS (
    SELECT 1
    FROM OPENJSON(?) WITH (record_id NVARCHAR(64) '$[0]', commit_version BIGINT '$[1]', change_type NVARCHAR(20) '$[2]') AS moved
    WHERE tdr.record_id = moved.record_id COLLATE Latin1_General_100_BIN2 AND tdr.commit_version = moved.commit_version
        AND tdr.change_type = moved.change_type COLLATE Latin1_General_100_BIN2
) AND company_id = ?
