-- Rights: SELECT on lpm.kpi_minute in a company database. The calls of one company by the minute, in the minutes before a moment; NULL stands for now.
-- Served by the index on company and window, which holds every column: an entry a minute, however many companies and minutes there are.
SELECT kpi.window_end, kpi.calls, kpi.answered, kpi.failed, kpi.mean_duration_seconds, kpi.p95_duration_seconds
FROM lpm.kpi_minute AS kpi
WHERE kpi.company_id = ?
    AND kpi.window_end > DATEADD(minute, -CAST(? AS INT), COALESCE(CAST(? AS DATETIME2(3)), SYSUTCDATETIME()))
    AND kpi.window_end <= COALESCE(CAST(? AS DATETIME2(3)), SYSUTCDATETIME())
ORDER BY kpi.window_end
