-- Rights: SELECT on lpmops.heartbeat in the control database. The newest beat of each partition that came through since a moment.
-- Always at least one row, so that the server's clock is known even where no beat came.
SELECT
    clock.server_time, beat.hub_partition,
    MAX(beat.hub_sequence) AS hub_sequence, MAX(beat.sent_at) AS sent_at, MAX(beat.enqueued_at) AS enqueued_at, MAX(beat.landed_at) AS landed_at
FROM (SELECT SYSUTCDATETIME() AS server_time) AS clock
LEFT JOIN lpmops.heartbeat AS beat ON beat.landed_at >= CAST(? AS DATETIME2(3))
GROUP BY clock.server_time, beat.hub_partition
