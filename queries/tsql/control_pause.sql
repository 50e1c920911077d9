-- Rights: CREATE TABLE and ALTER on schema lpmops. Which jobs an operator stopped on purpose: why, who, since when and until when.
IF OBJECT_ID('lpmops.pause') IS NULL
CREATE TABLE lpmops.pause (
    target NVARCHAR(128) NOT NULL CONSTRAINT pk_pause PRIMARY KEY,
    reason NVARCHAR(1000) NOT NULL,
    ticket NVARCHAR(200) NULL,
    paused_by NVARCHAR(400) NOT NULL,
    paused_at DATETIME2(3) NOT NULL CONSTRAINT df_pause_paused_at DEFAULT SYSUTCDATETIME(),
    until_at DATETIME2(3) NULL,
    operation NVARCHAR(64) NOT NULL
)
