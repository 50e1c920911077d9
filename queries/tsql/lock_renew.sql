-- Rights: SELECT and UPDATE on lpmops.lock. Keep the lease; no row comes back where it is no longer this owner's.
UPDATE lpmops.lock SET expires_at = DATEADD(second, ?, SYSUTCDATETIME())
OUTPUT inserted.fence AS fence
WHERE name = ? AND owner = ? AND fence = ?
