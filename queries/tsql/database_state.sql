-- Rights: CONNECT. How a database compares texts, whether it takes writes, and how full it is.
SELECT
    CAST(DATABASEPROPERTYEX(DB_NAME(), 'Collation') AS NVARCHAR(128)) AS collation_name,
    CAST(DATABASEPROPERTYEX(DB_NAME(), 'Updateability') AS NVARCHAR(60)) AS updateability,
    CAST(DATABASEPROPERTYEX(DB_NAME(), 'MaxSizeInBytes') AS BIGINT) AS bytes_at_most,
    SUM(CAST(FILEPROPERTY(files.name, 'SpaceUsed') AS BIGINT)) * 8192 AS bytes_used
FROM sys.database_files AS files
WHERE files.type = 0
