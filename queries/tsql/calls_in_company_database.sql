-- Rights: SELECT on lpm.kpi_minute in the company database, where it is counted there. The calls of one company by the minute, in the hour before a
-- moment; NULL stands for now.
-- Served by ix_kpi_minute_company, which holds every column: at most 61 entries, however many companies and minutes there are.
SELECT kpi.window_end, kpi.calls, kpi.answered, kpi.failed, kpi.mean_duration_seconds, kpi.p95_duration_seconds
FROM lpm.kpi_minute AS kpi
WHERE kpi.company_id = ?
    AND kpi.window_end > DATEADD(minute, -60, COALESCE(CAST(? AS DATETIME2(3)), SYSUTCDATETIME()))
    AND kpi.window_end <= COALESCE(CAST(? AS DATETIME2(3)), SYSUTCDATETIME())
ORDER BY kpi.window_end
