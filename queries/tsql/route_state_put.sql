-- Rights: SELECT and UPDATE on lpmops.route. Another state for a company's route, where it still is in the state that was seen.
UPDATE lpmops.route SET state = ?, changed_by = ?, changed_at = SYSUTCDATETIME()
OUTPUT inserted.state AS state
WHERE state = ? AND company_id = ? AND also_database IS NULL
