-- Rights: any on lpm.tdr. The rows of the landing table by the engine's own count: approximate, at no cost.
SELECT SUM(partitions.rows) AS row_count
FROM sys.partitions AS partitions
WHERE partitions.object_id = OBJECT_ID('lpm.tdr') AND partitions.index_id IN (0, 1)
