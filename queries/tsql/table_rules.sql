-- Rights: VIEW DEFINITION on the table. What may keep a row out: its check constraints.
SELECT checks.name AS rule_name, checks.[definition] AS rule_text
FROM sys.check_constraints AS checks
WHERE checks.parent_object_id = OBJECT_ID(?) AND checks.is_disabled = 0
ORDER BY checks.name
