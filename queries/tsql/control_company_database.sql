-- Rights: CREATE TABLE and ALTER on schema lpmops. Company databases that were brought on since lpmops.toml was written, for every operator.
IF OBJECT_ID('lpmops.company_database') IS NULL
CREATE TABLE lpmops.company_database (
    database_name NVARCHAR(128) NOT NULL CONSTRAINT pk_company_database PRIMARY KEY,
    added_by NVARCHAR(400) NOT NULL,
    added_at DATETIME2(3) NOT NULL CONSTRAINT df_company_database_added_at DEFAULT SYSUTCDATETIME()
)
