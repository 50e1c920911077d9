-- Rights: ALTER on lpmops.lock. Who holds it and what for, where the table is from before these columns were.
IF COL_LENGTH('lpmops.lock', 'holder') IS NULL
ALTER TABLE lpmops.lock ADD holder NVARCHAR(400) NULL, operation NVARCHAR(64) NULL, taken_at DATETIME2(3) NULL
