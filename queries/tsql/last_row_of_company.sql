-- Rights: SELECT on lpm.tdr. When the newest row of a company landed, by ix_tdr_company_landed_at: one entry.
SELECT MAX(landed.landed_at) AS landed_at FROM lpm.tdr AS landed WHERE landed.company_id = ?
