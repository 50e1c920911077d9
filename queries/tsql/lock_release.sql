-- Rights: SELECT and UPDATE on lpmops.lock. Give the lease back; the fence stays.
UPDATE lpmops.lock SET owner = NULL, holder = NULL, operation = NULL, taken_at = NULL, expires_at = SYSUTCDATETIME()
OUTPUT inserted.fence AS fence
WHERE name = ? AND owner = ? AND fence = ?
