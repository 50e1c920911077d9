-- Rights: SELECT and UPDATE on lpmops.lock. Take the lease away from whoever holds it at that fence: the holder stops before its next act.
UPDATE lpmops.lock SET owner = NULL, holder = NULL, operation = NULL, taken_at = NULL, fence = fence + 1, expires_at = SYSUTCDATETIME()
OUTPUT inserted.fence AS fence
WHERE name = ? AND fence = ? AND owner IS NOT NULL
