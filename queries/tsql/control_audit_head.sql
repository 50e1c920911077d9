-- Rights: CREATE TABLE and ALTER on schema lpmops. The newest hash of each operator's audit chain, so that a shortened chain shows.
IF OBJECT_ID('lpmops.audit_head') IS NULL
CREATE TABLE lpmops.audit_head (
    chain NVARCHAR(64) NOT NULL CONSTRAINT pk_audit_head PRIMARY KEY,
    sequence BIGINT NOT NULL,
    hash NVARCHAR(64) NOT NULL,
    written_at DATETIME2(3) NOT NULL CONSTRAINT df_audit_head_written_at DEFAULT SYSUTCDATETIME()
)
