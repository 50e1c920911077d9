-- Rights: ALTER on lpmops.unrouted. One event of the hub is kept once, however often it is delivered.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID('lpmops.unrouted') AND name = 'ux_unrouted_event')
CREATE UNIQUE INDEX ux_unrouted_event ON lpmops.unrouted (hub_partition, hub_sequence, enqueued_at) WITH (IGNORE_DUP_KEY = ON)
