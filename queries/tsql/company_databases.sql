-- Rights: SELECT on lpmops.company_database in the control database. The company databases beside those of lpmops.toml.
SELECT database_name FROM lpmops.company_database
