-- Rights: SELECT and DELETE on lpmops.pause. The job is not paused any more.
DELETE FROM lpmops.pause OUTPUT deleted.target AS target WHERE target = ?
