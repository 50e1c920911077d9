-- Rights: SELECT on lpmops.unrouted and lpmops.route. What stands in unrouted of some companies (a JSON list) from about the time of the last change of
-- their route, when it can have landed too: the keys, and where they would be. The next behind a place in the hub.
SELECT TOP (500)
    route.company_id, route.database_name, unrouted.record_id, unrouted.commit_version, unrouted.change_type, unrouted.hub_partition, unrouted.hub_sequence
FROM OPENJSON(?) WITH (company_id NVARCHAR(64) '$.company_id') AS wished
JOIN lpmops.route AS route ON route.company_id = wished.company_id COLLATE Latin1_General_100_BIN2
JOIN lpmops.unrouted AS unrouted ON unrouted.company_id COLLATE Latin1_General_100_BIN2 = route.company_id
WHERE unrouted.landed_at >= COALESCE(CAST(? AS DATETIME2(3)), CAST('0001-01-01' AS DATETIME2(3)))
    AND unrouted.landed_at >= DATEADD(SECOND, -240, route.changed_at)
    AND unrouted.enqueued_at >= DATEADD(SECOND, -120, route.changed_at) AND unrouted.enqueued_at < DATEADD(SECOND, 120, route.changed_at)
    AND unrouted.record_id IS NOT NULL AND unrouted.commit_version IS NOT NULL AND unrouted.change_type IS NOT NULL
    AND (unrouted.hub_partition > ? OR (unrouted.hub_partition = ? AND unrouted.hub_sequence > ?))
ORDER BY unrouted.hub_partition, unrouted.hub_sequence
