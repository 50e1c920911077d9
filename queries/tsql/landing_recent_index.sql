-- Rights: ALTER on lpm.tdr. What landed since a moment, without a look at the rows themselves.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID('lpm.tdr') AND name = 'ix_tdr_landed_at')
CREATE INDEX ix_tdr_landed_at ON lpm.tdr (landed_at, company_id)
INCLUDE (commit_timestamp, sent_at, enqueued_at, hub_partition, hub_sequence, replay_id)
