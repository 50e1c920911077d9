-- Rights: INSERT on lpm.tdr. Rows of another database, as a JSON list of lists; one that is there already is ignored by ux_tdr_change.
INSERT INTO lpm.tdr ($names)
SELECT $names FROM OPENJSON(?) WITH ($declared)
