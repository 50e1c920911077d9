-- Rights: ALTER on the table. The server's own clock for rows that name no moment.
ALTER TABLE $table ADD CONSTRAINT $constraint DEFAULT SYSUTCDATETIME() FOR $column
