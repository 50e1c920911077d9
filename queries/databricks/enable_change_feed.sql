-- Rights: MODIFY on the table, CAN USE on the warehouse. From the version this makes on, every change of the table is recorded.
ALTER TABLE {table} SET TBLPROPERTIES (delta.enableChangeDataFeed = true)
