-- Rights: SELECT on lpmops.audit_head. How far an audit chain was known to reach when it last changed this environment.
SELECT sequence, hash, written_at FROM lpmops.audit_head WHERE chain = ?
