-- Rights: INSERT on lpm.tdr. Rows of another database, as a JSON list of lists; one that is there already is ignored by ux_tdr_change.
INSERT INTO lpm.tdr ($columns)
SELECT $columns FROM OPENJSON(?) WITH ($declared) AS copied
