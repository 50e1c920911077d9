"""Pure rules for routes: what Stream Analytics is told, and what the tables look like that records land in.

Values in, deterministic text out; no I/O but reading the templates in `queries/`. Quoting is done in `quoting` and nowhere else: a name or a
company id is data, and none of them, however hostile, changes the shape of a text.
"""
