-- Rights: ALTER on lpm.tdr. Delivery that repeats and replays that overlap land once: a second row of the same change is ignored, not an error.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID('lpm.tdr') AND name = 'ux_tdr_change')
CREATE UNIQUE INDEX ux_tdr_change ON lpm.tdr (company_id, record_id, commit_version, change_type) WITH (IGNORE_DUP_KEY = ON)
