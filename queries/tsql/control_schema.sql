-- Rights: CREATE SCHEMA in the control database.
IF SCHEMA_ID('lpmops') IS NULL EXEC ('CREATE SCHEMA lpmops')
