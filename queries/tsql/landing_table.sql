-- Rights: CREATE TABLE and ALTER on schema lpm. An append-only change log; landed_at is the server's own clock.
-- The keys are compared by code point, whatever the database's collation: a1 and A1 are two records, and the unique index drops the second of one.
IF OBJECT_ID('lpm.tdr') IS NULL
CREATE TABLE lpm.tdr (
    company_id NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    record_id NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    commit_version BIGINT NOT NULL,
    change_type NVARCHAR(20) COLLATE Latin1_General_100_BIN2 NOT NULL,
    commit_timestamp DATETIME2(6) NOT NULL,
    sent_at DATETIME2(6) NOT NULL,
    enqueued_at DATETIME2(6) NOT NULL,
    hub_partition INT NOT NULL,
    hub_sequence BIGINT NOT NULL,
    replay_id NVARCHAR(64) NULL$columns,
    landed_at DATETIME2(3) NOT NULL CONSTRAINT df_tdr_landed_at DEFAULT SYSUTCDATETIME()
)
