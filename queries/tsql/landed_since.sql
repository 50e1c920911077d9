-- Rights: SELECT on lpm.tdr. What landed since a moment, in one pass: `total` (commit to landed) by company, each hop for all of them, newest event by partition.
-- bucket is the lower edge in milliseconds, about a tenth wide, -1 where unknown (a replay, or clocks that disagree). settled is 0 for rows of the last seconds,
-- as an insert under way may still bring an older landed_at: they are seen now and counted the next time. There is always a row, for the server's clock.
SELECT
    grouped.server_time, grouped.settled_at, grouped.measure, grouped.company_id, grouped.hub_partition, grouped.settled, grouped.bucket,
    COUNT_BIG(grouped.hub_sequence) AS events, MAX(grouped.hub_sequence) AS hub_sequence,
    MAX(grouped.enqueued_at) AS enqueued_at, MAX(grouped.landed_at) AS landed_at
FROM (
    SELECT
        measured.server_time, measured.settled_at, measured.measure, measured.hub_sequence, measured.enqueued_at, measured.landed_at,
        CASE WHEN measured.measure = 'total' THEN measured.company_id END AS company_id,
        CASE WHEN measured.measure = 'partition' THEN measured.hub_partition END AS hub_partition,
        CASE WHEN measured.landed_at < measured.settled_at THEN 1 ELSE 0 END AS settled,
        CASE
            WHEN measured.elapsed IS NULL OR measured.elapsed < 0 THEN -1
            WHEN measured.elapsed < 1000 THEN measured.elapsed / 20 * 20
            WHEN measured.elapsed < 10000 THEN measured.elapsed / 100 * 100
            WHEN measured.elapsed < 100000 THEN measured.elapsed / 1000 * 1000
            WHEN measured.elapsed < 1000000 THEN measured.elapsed / 10000 * 10000
            WHEN measured.elapsed < 10000000 THEN measured.elapsed / 100000 * 100000
            ELSE 10000000
        END AS bucket
    FROM (
        SELECT
            clock.server_time, clock.settled_at, measures.measure,
            landed.company_id, landed.hub_partition, landed.hub_sequence, landed.enqueued_at, landed.landed_at,
            CASE
                WHEN landed.replay_id IS NOT NULL THEN NULL
                WHEN measures.measure = 'total' THEN DATEDIFF_BIG(millisecond, landed.commit_timestamp, landed.landed_at)
                WHEN measures.measure = 'commit_to_sent' THEN DATEDIFF_BIG(millisecond, landed.commit_timestamp, landed.sent_at)
                WHEN measures.measure = 'sent_to_enqueued' THEN DATEDIFF_BIG(millisecond, landed.sent_at, landed.enqueued_at)
                WHEN measures.measure = 'enqueued_to_landed' THEN DATEDIFF_BIG(millisecond, landed.enqueued_at, landed.landed_at)
            END AS elapsed
        FROM (
            SELECT SYSUTCDATETIME() AS server_time, CAST(DATEADD(second, -5, SYSUTCDATETIME()) AS DATETIME2(3)) AS settled_at
        ) AS clock
        CROSS JOIN (
            SELECT 'total' AS measure UNION ALL SELECT 'partition' UNION ALL SELECT 'commit_to_sent'
            UNION ALL SELECT 'sent_to_enqueued' UNION ALL SELECT 'enqueued_to_landed'
        ) AS measures
        LEFT JOIN lpm.tdr AS landed ON landed.landed_at >= CAST(? AS DATETIME2(3))
    ) AS measured
) AS grouped
GROUP BY grouped.server_time, grouped.settled_at, grouped.measure, grouped.company_id, grouped.hub_partition, grouped.settled, grouped.bucket
