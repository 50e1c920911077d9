-- Rights: ALTER on lpm.tdr. The newest rows of one company, without a look at those of the others.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID('lpm.tdr') AND name = 'ix_tdr_company_landed_at')
CREATE INDEX ix_tdr_company_landed_at ON lpm.tdr (company_id, landed_at)
