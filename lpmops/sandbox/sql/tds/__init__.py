"""TDS 7.4, the wire of Azure SQL: what SQL Server's own drivers speak, over the engine of the package above.

Held: PRELOGIN, TLS inside it (full, login only, none), LOGIN7 with password or access token, batches, sp_executesql
and prepared statements, transaction requests, attention, every type of the engine both ways, values of any length in
chunks. Refused by name: MARS (declined), ADAL and Windows sign-in, server cursors, table-valued parameters, xml, CLR
types, Always Encrypted, bulk load, distributed transactions, TDS before 7.3B and TDS 8. Evidence: Microsoft's open
specification MS-TDS (sections named in each module), and that Microsoft's ODBC driver, python-tds and FreeTDS work
with it unmodified.
"""

from lpmops.sandbox.sql.tds.connection import Limits, SignIn
from lpmops.sandbox.sql.tds.listener import TdsListener

__all__ = ["Limits", "SignIn", "TdsListener"]
