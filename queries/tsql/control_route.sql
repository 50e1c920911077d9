-- Rights: CREATE TABLE and ALTER on schema lpmops. Which company lands in which database; Stream Analytics reads it as reference data.
IF OBJECT_ID('lpmops.route') IS NULL
CREATE TABLE lpmops.route (
    company_id NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL CONSTRAINT pk_route PRIMARY KEY,
    company NVARCHAR(200) NOT NULL,
    database_name NVARCHAR(128) NOT NULL,
    state NVARCHAR(20) NOT NULL CONSTRAINT df_route_state DEFAULT 'active',
    changed_by NVARCHAR(200) NOT NULL,
    changed_at DATETIME2(3) NOT NULL CONSTRAINT df_route_changed_at DEFAULT SYSUTCDATETIME()
)
