-- Rights: SELECT on lpmops.pause in the control database. Which jobs are paused: why, by whom, since when and until when.
SELECT target, reason, ticket, paused_by, paused_at, until_at, operation FROM lpmops.pause
