-- Rights: SELECT on lpm.tdr. How many rows a company has, by the index that begins with it.
SELECT COUNT_BIG(*) AS row_count FROM lpm.tdr AS landed WHERE landed.company_id = ?
