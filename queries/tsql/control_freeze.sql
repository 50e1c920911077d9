-- Rights: CREATE TABLE and ALTER on schema lpmops. While a row stands here and its time is not over, no operation begins or goes on.
IF OBJECT_ID('lpmops.freeze') IS NULL
CREATE TABLE lpmops.freeze (
    name NVARCHAR(64) NOT NULL CONSTRAINT pk_freeze PRIMARY KEY,
    reason NVARCHAR(1000) NOT NULL,
    frozen_by NVARCHAR(400) NOT NULL,
    frozen_at DATETIME2(3) NOT NULL CONSTRAINT df_freeze_frozen_at DEFAULT SYSUTCDATETIME(),
    until_at DATETIME2(3) NULL
)
