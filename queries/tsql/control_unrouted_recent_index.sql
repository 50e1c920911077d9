-- Rights: ALTER on lpmops.unrouted. What found no route since a moment, without a scan.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID('lpmops.unrouted') AND name = 'ix_unrouted_landed_at')
CREATE INDEX ix_unrouted_landed_at ON lpmops.unrouted (landed_at)
