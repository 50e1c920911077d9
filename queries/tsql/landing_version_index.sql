-- Rights: ALTER on lpm.tdr. The rows of some versions of the source, without a look at the others: what a reconciliation counts.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID('lpm.tdr') AND name = 'ix_tdr_commit_version')
CREATE INDEX ix_tdr_commit_version ON lpm.tdr (commit_version) INCLUDE (company_id, record_id, change_type)
