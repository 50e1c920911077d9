"""The stream job's files, as a deployment ships them: whole, and leaning on nothing that a workspace does not have."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from lpmops import resources

FILES = resources.stream_job_files()


def test_every_file_of_the_job_is_shipped_and_no_other() -> None:
    folder = Path(resources.__file__).parent / "streamjob"
    there = {path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert set(FILES.values()) == there
    assert {name.rpartition("/")[0] for name in FILES} == {"streamjob"}
    assert resources.STREAM_JOB_ENTRY in FILES


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_shipped_file_imports_only_what_a_cluster_has(name: str) -> None:
    for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1, "what is beside it is named relatively"
            continue
        modules = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for module in modules:
            assert module.partition(".")[0] in {*sys.stdlib_module_names, "pyspark", "py4j"}, module
