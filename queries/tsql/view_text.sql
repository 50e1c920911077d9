-- Rights: VIEW DEFINITION on the view. Its text as it was made; no row where there is no such view.
SELECT modules.[definition] AS view_text FROM sys.sql_modules AS modules WHERE modules.object_id = OBJECT_ID(?)
