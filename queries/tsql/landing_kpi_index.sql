-- Rights: ALTER on lpm.kpi_minute. A window that is delivered again counts once.
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID('lpm.kpi_minute') AND name = 'ux_kpi_minute')
CREATE UNIQUE INDEX ux_kpi_minute ON lpm.kpi_minute (window_end, company_id) WITH (IGNORE_DUP_KEY = ON)
