-- Rights: SELECT, INSERT and UPDATE on lpmops.freeze. Freeze an environment, or change for how long and why it is.
UPDATE lpmops.freeze SET reason = ?, frozen_by = ?, frozen_at = SYSUTCDATETIME(), until_at = CAST(? AS DATETIME2(3)) WHERE name = ?
IF @@ROWCOUNT = 0 INSERT INTO lpmops.freeze (reason, frozen_by, until_at, name) VALUES (?, ?, CAST(? AS DATETIME2(3)), ?)
