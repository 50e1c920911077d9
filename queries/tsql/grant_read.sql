-- Rights: CONTROL on the table. What Stream Analytics needs to read a table as reference data.
GRANT SELECT ON OBJECT::$table TO $identity
