-- Rights: SELECT on lpm.tdr. The first row that landed for a company since a moment, by ix_tdr_company_landed_at; and the server's clock.
SELECT
    SYSUTCDATETIME() AS server_time,
    (SELECT MIN(landed.landed_at) FROM lpm.tdr AS landed WHERE landed.company_id = ? AND landed.landed_at >= CAST(? AS DATETIME2(3))) AS landed_at
