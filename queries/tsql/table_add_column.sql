-- Rights: ALTER on the table. A further column; rows that are there have NULL in it.
IF COL_LENGTH($table_text, $column_text) IS NULL
ALTER TABLE $table ADD $column $type NULL
