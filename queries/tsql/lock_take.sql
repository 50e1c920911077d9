-- Rights: SELECT and UPDATE on lpmops.lock. Take the lease where it is free, over, or held for the operation that is taken up again.
-- Taking it again as the same owner changes no fence, so a lost answer can be asked for once more.
UPDATE lpmops.lock
SET fence = CASE WHEN owner = ? THEN fence ELSE fence + 1 END,
    owner = ?, holder = ?, operation = ?, taken_at = SYSUTCDATETIME(), expires_at = DATEADD(second, ?, SYSUTCDATETIME())
OUTPUT inserted.fence AS fence
WHERE name = ? AND (owner IS NULL OR owner = ? OR operation = ? OR expires_at < SYSUTCDATETIME())
