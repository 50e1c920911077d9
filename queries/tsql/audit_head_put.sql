-- Rights: SELECT, INSERT and UPDATE on lpmops.audit_head. The newest entry of an operator's audit chain; an older one never replaces it.
UPDATE lpmops.audit_head SET sequence = ?, hash = ?, written_at = SYSUTCDATETIME() WHERE chain = ? AND sequence <= ?
IF NOT EXISTS (SELECT 1 FROM lpmops.audit_head WHERE chain = ?)
INSERT INTO lpmops.audit_head (chain, sequence, hash) VALUES (?, ?, ?)
