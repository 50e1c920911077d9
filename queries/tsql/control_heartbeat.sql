-- Rights: CREATE TABLE and ALTER on schema lpmops. One row a beat that came through hub and Stream Analytics, so that quiet is told from broken.
IF OBJECT_ID('lpmops.heartbeat') IS NULL
CREATE TABLE lpmops.heartbeat (
    beat_id NVARCHAR(64) NOT NULL,
    commit_timestamp DATETIME2(6) NOT NULL,
    sent_at DATETIME2(6) NOT NULL,
    enqueued_at DATETIME2(6) NOT NULL,
    hub_partition INT NOT NULL,
    hub_sequence BIGINT NOT NULL,
    landed_at DATETIME2(3) NOT NULL CONSTRAINT df_heartbeat_landed_at DEFAULT SYSUTCDATETIME()
)
