-- Rights: SELECT on lpm.kpi_minute in a company database. The calls of each company in the minutes before a moment; NULL stands for now.
-- A row a company. Percentiles can't be added up, so the highest of any minute is given; a mean counts by the answered calls of its minute.
SELECT
    kpi.company_id,
    COUNT_BIG(*) AS windows,
    SUM(kpi.calls) AS calls,
    SUM(kpi.answered) AS answered,
    SUM(kpi.failed) AS failed,
    SUM(CASE WHEN kpi.mean_duration_seconds IS NULL THEN 0.0 ELSE kpi.mean_duration_seconds * kpi.answered END) AS answered_seconds,
    SUM(CASE WHEN kpi.mean_duration_seconds IS NULL THEN 0 ELSE kpi.answered END) AS answered_timed,
    MAX(kpi.p95_duration_seconds) AS highest_p95_seconds
FROM lpm.kpi_minute AS kpi
WHERE kpi.window_end > DATEADD(minute, -CAST(? AS INT), COALESCE(CAST(? AS DATETIME2(3)), SYSUTCDATETIME()))
    AND kpi.window_end <= COALESCE(CAST(? AS DATETIME2(3)), SYSUTCDATETIME())
GROUP BY kpi.company_id
