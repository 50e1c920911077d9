-- Rights: CREATE TABLE and ALTER on schema lpmops. One operator at a time: a lease by the server's clock, with a fence that only grows.
IF OBJECT_ID('lpmops.lock') IS NULL
CREATE TABLE lpmops.lock (
    name NVARCHAR(64) NOT NULL CONSTRAINT pk_lock PRIMARY KEY,
    owner NVARCHAR(200) NULL,
    holder NVARCHAR(400) NULL,
    operation NVARCHAR(64) NULL,
    fence BIGINT NOT NULL,
    taken_at DATETIME2(3) NULL,
    expires_at DATETIME2(3) NOT NULL
)
