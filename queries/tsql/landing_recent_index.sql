-- Rights: ALTER on lpm.tdr. What landed since a moment, without a scan.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID('lpm.tdr') AND name = 'ix_tdr_landed_at')
CREATE INDEX ix_tdr_landed_at ON lpm.tdr (landed_at, company_id)
