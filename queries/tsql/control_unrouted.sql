-- Rights: CREATE TABLE and ALTER on schema lpmops. Records that no route took: their keys and stamps, never their content. No length is
-- too long here: a row that does not fit would stop every company.
IF OBJECT_ID('lpmops.unrouted') IS NULL
CREATE TABLE lpmops.unrouted (
    company_id NVARCHAR(MAX) NULL,
    record_id NVARCHAR(MAX) NULL,
    commit_version BIGINT NULL,
    change_type NVARCHAR(MAX) NULL,
    commit_timestamp DATETIME2(6) NULL,
    sent_at DATETIME2(6) NULL,
    enqueued_at DATETIME2(6) NOT NULL,
    hub_partition INT NOT NULL,
    hub_sequence BIGINT NOT NULL,
    replay_id NVARCHAR(MAX) NULL,
    landed_at DATETIME2(3) NOT NULL CONSTRAINT df_unrouted_landed_at DEFAULT SYSUTCDATETIME()
)
