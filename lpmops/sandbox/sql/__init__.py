"""The Azure SQL logical server of the sandbox.

Databases are SQLite files; T-SQL goes in and SQL Server's results and error numbers come out, in the process (`Database.execute`,
`bulk_insert`) and over the wire (`tds`, TDS 7.4).

Protocol. `tds/` speaks [MS-TDS] 7.4: PRELOGIN (2.2.6.5), TLS inside prelogin packets (3.2.5.1), LOGIN7 (2.2.6.4) with password or FEDAUTH
(2.2.7.4, 2.2.7.13), SQLBatch (2.2.6.7), RPC (2.2.6.6), transaction manager requests (2.2.6.9), bulk load (2.2.6.1), attention (2.2.1.7),
and the token streams of 2.2.7.

Path of a statement. `lexer` and `parser/` read T-SQL strictly into the tree of `syntax`; `translate/` turns it, typed, into SQLite text;
`batch` runs a batch's statements with variables, IF, WHILE, TRY and SQL Server's rules on what an error ends; `session` holds settings and
the transaction; `definitions` makes DDL of it, `catalog` keeps what is defined, `system_views` and `metadata` tell of it, `permissions`
guards it. `conversion`, `moments`, `json_text` and `functions` are T-SQL's own arithmetic. `database` and `server` are states, files and
row counts.

Subset. Tables with defaults, checks, keys, indexes (IGNORE_DUP_KEY), identity; views; SELECT with common tables, joins, grouping, windows,
set operations, TOP, OFFSET, COLLATE (UTF-8 to cast, hash and measure text, never to keep it); INSERT, UPDATE, DELETE with OUTPUT;
batches; sp_executesql; contained users, roles, GRANT, DENY, REVOKE; the catalog views an operator asks. All else is refused by name with the
error SQL Server has for it (102, 156, 195, 2812, 40510, 40514, 40517), never approximated.

Evidence. Microsoft's T-SQL reference, "Database Engine events and errors", "Troubleshoot common connectivity issues", [MS-TDS]; held
against Microsoft's ODBC driver, FreeTDS and python-tds over the wire.

Known to differ: text in a case-insensitive collation is compared by A-Z alone, and blanks at its end count; writers of one database wait
for each other even where SQL Server's row locks would not meet; READ UNCOMMITTED reads what is committed; the text of 2628 shows the cut
value in bulk loads only, that of 2601 its key only where the batch itself repeats it; a whole-number result beyond its type's range is
refused when stored or returned, not midway.
"""

from lpmops.sandbox.sql.database import Database
from lpmops.sandbox.sql.errors import SqlError
from lpmops.sandbox.sql.results import ResultSet
from lpmops.sandbox.sql.server import SqlServer
from lpmops.sandbox.sql.session import Login, Session, SqlPrincipal

__all__ = ["Database", "Login", "ResultSet", "Session", "SqlError", "SqlPrincipal", "SqlServer"]
