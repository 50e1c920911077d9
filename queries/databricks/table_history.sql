-- Rights: SELECT on the table, CAN USE on the warehouse. The newest commits of a Delta table, newest first.
DESCRIBE HISTORY {table} LIMIT {limit}
