-- Rights: CREATE TABLE and ALTER on schema lpm. KPI per company and minute in the company's own database, counted by Stream Analytics.
IF OBJECT_ID('lpm.kpi_minute') IS NULL
CREATE TABLE lpm.kpi_minute (
    company_id NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    window_end DATETIME2(3) NOT NULL,
    calls BIGINT NOT NULL,
    answered BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    mean_duration_seconds FLOAT NULL,
    p95_duration_seconds FLOAT NULL,
    landed_at DATETIME2(3) NOT NULL CONSTRAINT df_kpi_minute_landed_at DEFAULT SYSUTCDATETIME()
)
