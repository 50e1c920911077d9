-- Rights: VIEW DEFINITION in the database. What each user holds on each table, and what through a role: object_name is NULL there.
SELECT users.name AS user_name, users.type AS user_type, schemas.name AS schema_name, objects.name AS object_name,
    held.permission_name, held.state, CAST(NULL AS NVARCHAR(128)) AS role_name
FROM sys.database_principals AS users
JOIN sys.database_permissions AS held ON held.grantee_principal_id = users.principal_id
JOIN sys.objects AS objects ON objects.object_id = held.major_id
JOIN sys.schemas AS schemas ON schemas.schema_id = objects.schema_id
WHERE held.class = 1 AND held.minor_id = 0
UNION ALL
SELECT users.name, users.type, CAST(NULL AS NVARCHAR(128)), CAST(NULL AS NVARCHAR(128)), CAST(NULL AS NVARCHAR(128)), CAST(NULL AS CHAR(1)), roles.name
FROM sys.database_principals AS users
LEFT JOIN sys.database_role_members AS members ON members.member_principal_id = users.principal_id
LEFT JOIN sys.database_principals AS roles ON roles.principal_id = members.role_principal_id
WHERE users.type IN ('E', 'X', 'S')
