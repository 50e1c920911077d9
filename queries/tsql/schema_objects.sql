-- Rights: VIEW DEFINITION on the schemas lpmops and lpm. What they hold: schemas, tables, columns, views and indexes, one name a row.
SELECT CONCAT('schema ', schemas.name) AS object_name
FROM sys.schemas AS schemas
WHERE schemas.name IN ('lpmops', 'lpm')
UNION ALL
SELECT CONCAT('table ', schemas.name, '.', tables.name)
FROM sys.tables AS tables JOIN sys.schemas AS schemas ON schemas.schema_id = tables.schema_id
WHERE schemas.name IN ('lpmops', 'lpm')
UNION ALL
SELECT CONCAT('view ', schemas.name, '.', views.name)
FROM sys.views AS views JOIN sys.schemas AS schemas ON schemas.schema_id = views.schema_id
WHERE schemas.name IN ('lpmops', 'lpm')
UNION ALL
SELECT CONCAT('column ', schemas.name, '.', tables.name, '.', columns.name)
FROM sys.columns AS columns
JOIN sys.tables AS tables ON tables.object_id = columns.object_id
JOIN sys.schemas AS schemas ON schemas.schema_id = tables.schema_id
WHERE schemas.name IN ('lpmops', 'lpm')
UNION ALL
SELECT CONCAT('index ', indexes.name, ' on ', schemas.name, '.', tables.name, CASE WHEN indexes.ignore_dup_key = 1 THEN ', duplicates ignored' ELSE '' END)
FROM sys.indexes AS indexes
JOIN sys.tables AS tables ON tables.object_id = indexes.object_id
JOIN sys.schemas AS schemas ON schemas.schema_id = tables.schema_id
WHERE schemas.name IN ('lpmops', 'lpm') AND indexes.name IS NOT NULL
