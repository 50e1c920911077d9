-- Rights: CREATE VIEW and ALTER on schema lpm. The newest version of each record, deletes removed. In one commit a delete
-- comes before what follows it.
$verb VIEW lpm.tdr_current AS
SELECT newest.*
FROM (
    SELECT tdr.*, ROW_NUMBER() OVER (
        PARTITION BY tdr.company_id, tdr.record_id ORDER BY tdr.commit_version DESC, CASE WHEN tdr.change_type = 'delete' THEN 1 ELSE 0 END
    ) AS age_rank
    FROM lpm.tdr AS tdr
) AS newest
WHERE newest.age_rank = 1 AND newest.change_type <> 'delete'
