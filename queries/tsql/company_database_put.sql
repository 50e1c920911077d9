-- Rights: SELECT and INSERT on lpmops.company_database. Let every operator know of a company database.
INSERT INTO lpmops.company_database (database_name, added_by)
SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM lpmops.company_database WHERE database_name = ?)
