-- Rights: SELECT, INSERT and UPDATE on lpmops.pause. Note why a job is stopped, by whom, until when and in the course of what.
UPDATE lpmops.pause
SET reason = ?, ticket = ?, paused_by = ?, paused_at = SYSUTCDATETIME(), until_at = CAST(? AS DATETIME2(3)), operation = ?, action = ?
WHERE target = ?
IF @@ROWCOUNT = 0
INSERT INTO lpmops.pause (reason, ticket, paused_by, until_at, operation, action, target)
VALUES (?, ?, ?, CAST(? AS DATETIME2(3)), ?, ?, ?)
