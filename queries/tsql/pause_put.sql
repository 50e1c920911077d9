-- Rights: SELECT, INSERT and UPDATE on lpmops.pause. Note why a job is stopped, by whom and until when.
UPDATE lpmops.pause
SET reason = ?, ticket = ?, paused_by = ?, paused_at = SYSUTCDATETIME(), until_at = CAST(? AS DATETIME2(3)), operation = ?
WHERE target = ?
IF @@ROWCOUNT = 0
INSERT INTO lpmops.pause (reason, ticket, paused_by, until_at, operation, target)
VALUES (?, ?, ?, CAST(? AS DATETIME2(3)), ?, ?)
