"""The file that a Databricks task names (`spark_python_task.python_file`): runs the package that it is in, wherever that was copied to."""

from __future__ import annotations

import os
import runpy
import sys

# Databricks executes this file without setting __file__; its code object knows where it came from.
_HERE = os.path.dirname(os.path.abspath((lambda: None).__code__.co_filename))

sys.path.insert(0, os.path.dirname(_HERE))
runpy.run_module(os.path.basename(_HERE), run_name="__main__", alter_sys=True)
