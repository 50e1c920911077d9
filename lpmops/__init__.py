"""lpmops: make and operate the stream that carries call records from a Delta table to each company's Azure SQL database."""

from __future__ import annotations

__version__ = "0.1.0"
