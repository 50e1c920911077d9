-- Rights: CREATE SCHEMA in the company database.
IF SCHEMA_ID('lpm') IS NULL EXEC ('CREATE SCHEMA lpm')
