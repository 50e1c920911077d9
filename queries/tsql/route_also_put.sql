-- Rights: SELECT and UPDATE on lpmops.route. Let an active company be written to a second database too.
UPDATE lpmops.route SET also_database = ?, changed_by = ?, changed_at = SYSUTCDATETIME()
OUTPUT inserted.also_database AS also_database
WHERE database_name = ? AND also_database IS NULL AND state = 'active' AND company_id = ?
