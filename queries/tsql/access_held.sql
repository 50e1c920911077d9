-- Rights: VIEW DEFINITION on the database. Its users, who is a member of which role, and every permission that was granted or denied.
SELECT
    'user' AS what,
    users.name AS principal,
    CAST(NULL AS NVARCHAR(128)) AS role,
    CAST(NULL AS NVARCHAR(128)) AS permission,
    CAST(NULL AS NVARCHAR(60)) AS state,
    CAST(NULL AS NVARCHAR(60)) AS scope,
    CAST(NULL AS NVARCHAR(128)) AS schema_name,
    CAST(NULL AS NVARCHAR(128)) AS object_name
FROM sys.database_principals AS users
WHERE users.type IN ('S', 'E', 'X', 'U', 'G')
UNION ALL
SELECT 'member', members.name, roles.name, NULL, NULL, NULL, NULL, NULL
FROM sys.database_role_members AS links
INNER JOIN sys.database_principals AS members ON links.member_principal_id = members.principal_id
INNER JOIN sys.database_principals AS roles ON links.role_principal_id = roles.principal_id
UNION ALL
SELECT
    'permission',
    grantees.name,
    NULL,
    held.permission_name,
    held.state_desc,
    held.class_desc,
    COALESCE(schemas.name, owners.name),
    objects.name
FROM sys.database_permissions AS held
INNER JOIN sys.database_principals AS grantees ON held.grantee_principal_id = grantees.principal_id
LEFT JOIN sys.objects AS objects ON held.class = 1 AND held.major_id = objects.object_id
LEFT JOIN sys.schemas AS owners ON objects.schema_id = owners.schema_id
LEFT JOIN sys.schemas AS schemas ON held.class = 3 AND held.major_id = schemas.schema_id
WHERE held.class IN (0, 1, 3) AND held.minor_id = 0
