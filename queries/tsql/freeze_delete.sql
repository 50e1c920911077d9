-- Rights: SELECT and DELETE on lpmops.freeze. Let operations begin again.
DELETE FROM lpmops.freeze OUTPUT deleted.reason AS reason WHERE name = ?
