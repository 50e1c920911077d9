-- Rights: CONTROL on the table. What a Stream Analytics output needs: INSERT for its rows, SELECT for its connection test.
GRANT SELECT, INSERT ON OBJECT::$table TO $identity
