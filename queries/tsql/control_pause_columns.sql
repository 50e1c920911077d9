-- Rights: ALTER on lpmops.pause. In the course of what a job was stopped, where the table is from before this column was.
IF COL_LENGTH('lpmops.pause', 'action') IS NULL
ALTER TABLE lpmops.pause ADD action NVARCHAR(64) NULL
