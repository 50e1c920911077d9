-- Rights: ALTER on lpm.kpi_minute. The minutes of one company, without a look at those of the others.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID('lpm.kpi_minute') AND name = 'ix_kpi_minute_company')
CREATE INDEX ix_kpi_minute_company ON lpm.kpi_minute (company_id, window_end)
INCLUDE (calls, answered, failed, mean_duration_seconds, p95_duration_seconds)
