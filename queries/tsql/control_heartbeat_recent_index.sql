-- Rights: ALTER on lpmops.heartbeat. The newest beat, without a scan.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID('lpmops.heartbeat') AND name = 'ix_heartbeat_landed_at')
CREATE INDEX ix_heartbeat_landed_at ON lpmops.heartbeat (landed_at)
