-- Rights: SELECT on lpmops.heartbeat in the control database. How many milliseconds each beat that landed between two moments was under way.
SELECT DATEDIFF_BIG(millisecond, beat.sent_at, beat.landed_at) AS elapsed
FROM lpmops.heartbeat AS beat
WHERE beat.landed_at >= CAST(? AS DATETIME2(3)) AND beat.landed_at < CAST(? AS DATETIME2(3))
