"""A trial of Stream Analytics queries on this machine, as a process: JSON in on stdin, JSON out on stdout, and nothing else.

It is the one module outside the sandbox that imports the sandbox's engine, and nothing imports it: lpmops starts `python -m lpmops.trial`. A process
of its own keeps DuckDB and its memory out of lpmops, can be ended when it takes too long, and lets lpmops be installed without the engine's packages.
"""
