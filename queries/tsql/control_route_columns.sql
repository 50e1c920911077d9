-- Rights: ALTER on lpmops.route. While a company moves it is written to a second database too; and when it was asked for and its first row landed.
IF COL_LENGTH('lpmops.route', 'also_database') IS NULL
ALTER TABLE lpmops.route ADD also_database NVARCHAR(128) NULL, asked_at DATETIME2(3) NULL, first_row_at DATETIME2(3) NULL
