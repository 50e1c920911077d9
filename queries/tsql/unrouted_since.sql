-- Rights: SELECT on lpmops.unrouted in the control database. Records that no route took since a moment, by company and partition, most first.
SELECT TOP (200)
    unrouted.company_id, unrouted.hub_partition,
    COUNT_BIG(*) AS events, MAX(unrouted.hub_sequence) AS hub_sequence, MAX(unrouted.enqueued_at) AS enqueued_at, MAX(unrouted.landed_at) AS landed_at
FROM lpmops.unrouted AS unrouted
WHERE unrouted.landed_at >= CAST(? AS DATETIME2(3))
GROUP BY unrouted.company_id, unrouted.hub_partition
ORDER BY COUNT_BIG(*) DESC
