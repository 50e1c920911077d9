-- Rights: CREATE VIEW and ALTER on schema lpm. The newest version of each record, deletes removed.
CREATE VIEW lpm.tdr_current AS
SELECT newest.*
FROM (
    SELECT tdr.*, ROW_NUMBER() OVER (PARTITION BY company_id, record_id ORDER BY commit_version DESC) AS age_rank
    FROM lpm.tdr AS tdr
) AS newest
WHERE newest.age_rank = 1 AND newest.change_type <> 'delete'
