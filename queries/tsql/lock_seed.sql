-- Rights: SELECT and INSERT on lpmops.lock. The row that is locked, made once in an environment's life.
INSERT INTO lpmops.lock (name, owner, fence, expires_at)
SELECT ?, NULL, 0, SYSUTCDATETIME() WHERE NOT EXISTS (SELECT 1 FROM lpmops.lock WHERE name = ?)
