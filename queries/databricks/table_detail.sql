-- Rights: SELECT on the table, CAN USE on the warehouse. Protocol, features and properties of a Delta table.
DESCRIBE DETAIL {table}
