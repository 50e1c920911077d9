-- Rights: SELECT on lpmops.unrouted in the control database. The keys of the changes of some versions that no route took of some companies (a JSON
-- list) since a moment, NULL for ever, behind an event of the hub.
SELECT TOP (20000)
    wished.company_id, unrouted.record_id, unrouted.commit_version, unrouted.change_type, unrouted.landed_at, unrouted.hub_partition, unrouted.hub_sequence
FROM OPENJSON(?) WITH (company_id NVARCHAR(64) '$.company_id') AS wished
JOIN lpmops.unrouted AS unrouted
    ON unrouted.company_id COLLATE Latin1_General_100_BIN2 = wished.company_id COLLATE Latin1_General_100_BIN2
WHERE unrouted.commit_version BETWEEN ? AND ?
    AND unrouted.landed_at >= COALESCE(CAST(? AS DATETIME2(3)), CAST('0001-01-01' AS DATETIME2(3)))
    AND (unrouted.hub_partition > ? OR (unrouted.hub_partition = ? AND unrouted.hub_sequence > ?))
ORDER BY unrouted.hub_partition, unrouted.hub_sequence
