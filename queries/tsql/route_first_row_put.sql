-- Rights: SELECT and UPDATE on lpmops.route. When a company's first row landed.
UPDATE lpmops.route SET first_row_at = CAST(? AS DATETIME2(3))
OUTPUT inserted.company_id AS company_id
WHERE company_id = ? AND first_row_at IS NULL
