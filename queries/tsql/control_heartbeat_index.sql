-- Rights: ALTER on lpmops.heartbeat.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID('lpmops.heartbeat') AND name = 'ux_heartbeat_beat')
CREATE UNIQUE INDEX ux_heartbeat_beat ON lpmops.heartbeat (beat_id) WITH (IGNORE_DUP_KEY = ON)
