-- Rights: SELECT on lpmops.pause in the control database. Which jobs are stopped on purpose: why, by whom, since when, until when and in what course.
SELECT target, reason, ticket, paused_by, paused_at, until_at, operation, action FROM lpmops.pause
