-- Rights: none but to connect. What the one who asks may do here with an object, and in the database; null for what there is not.
SELECT
    HAS_PERMS_BY_NAME(?, 'OBJECT', 'SELECT') AS object_select,
    HAS_PERMS_BY_NAME(?, 'OBJECT', 'INSERT') AS object_insert,
    HAS_PERMS_BY_NAME(?, 'OBJECT', 'UPDATE') AS object_update,
    HAS_PERMS_BY_NAME(?, 'OBJECT', 'DELETE') AS object_delete,
    HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DATABASE STATE') AS view_state,
    HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'ALTER ANY USER') AS alter_any_user,
    HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'CREATE TABLE') AS create_table,
    HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'CONTROL') AS control
