"""TDS 7.4, the server's side: what pyodbc, FreeTDS and python-tds speak to SQL Server.

`packets` frames, `wire` encrypts, `login` signs in, `requests` reads what is asked, `values` and `tokens` write what is answered, `session` is one connection,
`listener` all of them. Names and sections are those of [MS-TDS]. MARS, cursors over RPC, TDS 8.0 and Windows authentication are refused.
"""

from lpmops.sandbox.sql.errors import login_failed
from lpmops.sandbox.sql.session import Login
from lpmops.sandbox.sql.tds.listener import TdsListener

__all__ = ["Login", "TdsListener", "login_failed"]
