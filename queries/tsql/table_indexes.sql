-- Rights: VIEW DEFINITION on the table. Its indexes, a row for each column of each, in the order of the key; included columns have no ordinal.
SELECT
    indexes.name AS index_name, indexes.type_desc, indexes.is_unique, indexes.ignore_dup_key, indexes.is_disabled, indexes.has_filter,
    columns.name AS column_name, members.key_ordinal, members.is_included_column
FROM sys.indexes AS indexes
JOIN sys.index_columns AS members ON members.object_id = indexes.object_id AND members.index_id = indexes.index_id
JOIN sys.columns AS columns ON columns.object_id = members.object_id AND columns.column_id = members.column_id
WHERE indexes.object_id = OBJECT_ID(?) AND indexes.name IS NOT NULL AND indexes.is_hypothetical = 0
ORDER BY indexes.index_id, members.key_ordinal, members.index_column_id
