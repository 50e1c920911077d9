-- Rights: SELECT and UPDATE on lpmops.route. Let a company that is written to two databases be written to one of them alone.
UPDATE lpmops.route SET database_name = ?, also_database = NULL, changed_by = ?, changed_at = SYSUTCDATETIME()
OUTPUT inserted.database_name AS database_name
WHERE also_database IS NOT NULL AND (database_name = ? OR also_database = ?) AND company_id = ?
