-- Rights: VIEW DEFINITION on the table. Its columns as they were made; no row where there is no such object.
SELECT
    schemas.name AS schema_name, objects.name AS object_name, objects.type AS object_type, columns.name AS column_name, types.name AS type_name,
    columns.max_length, columns.[precision], columns.[scale], columns.collation_name, columns.is_nullable, columns.is_identity, columns.is_computed,
    defaults.[definition] AS default_text
FROM sys.objects AS objects
JOIN sys.schemas AS schemas ON schemas.schema_id = objects.schema_id
JOIN sys.columns AS columns ON columns.object_id = objects.object_id
JOIN sys.types AS types ON types.user_type_id = columns.user_type_id
LEFT JOIN sys.default_constraints AS defaults
    ON defaults.parent_object_id = columns.object_id AND defaults.parent_column_id = columns.column_id
WHERE objects.object_id = OBJECT_ID(?)
ORDER BY columns.column_id
