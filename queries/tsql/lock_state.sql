-- Rights: SELECT on lpmops.lock and lpmops.freeze. Who holds the environment, and whether it is frozen, by the server's clock. Always one row.
SELECT
    clock.server_time, held.owner, held.holder, held.operation, held.fence, held.taken_at, held.expires_at,
    frozen.reason, frozen.frozen_by, frozen.frozen_at, frozen.until_at
FROM (SELECT SYSUTCDATETIME() AS server_time) AS clock
LEFT JOIN lpmops.lock AS held ON held.name = ?
LEFT JOIN lpmops.freeze AS frozen ON frozen.name = ? AND (frozen.until_at IS NULL OR frozen.until_at > clock.server_time)
