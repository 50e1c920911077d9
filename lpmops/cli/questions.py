"""What `lpmops init` asks, derived from the configuration's own types, and how the answers become a file.

Each answer is checked as it is given, by the same rules that check the file; the whole is read back before anything is written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from lpmops import config, config_reader
from lpmops.errors import ConfigError

_SECTIONS = ("databricks", "eventhub", "streamanalytics", "sql")

# One sentence for a field whose name alone does not say where its value is found.
HELP = {
    "tenant_id": "az account show --query tenantId",
    "subscription_id": "az account show --query id",
    "databricks.host": "the workspace's address, https://adb-....azuredatabricks.net",
    "databricks.warehouse": "the id of the SQL warehouse that answers questions about the table",
    "databricks.table": "catalog.schema.tdr_streaming",
    "databricks.job": "the streaming job's name",
    "databricks.checkpoint": "the job's checkpoint, under /Volumes",
    "eventhub.namespace": "the namespace's name, without .servicebus.windows.net",
    "streamanalytics.job_prefix": "the routing jobs are named by it and a number",
    "sql.server": "the logical server, such as sql-lpm-prod.database.windows.net",
    "sql.databases": "the company databases, separated by commas",
}

# What nobody has to answer and a person who makes an environment wants to see: written as a comment, with its default.
SUGGESTED = {
    "eventhub.tier": "Standard or Premium; for life",
    "eventhub.throughput_units": "1 MB in and 2 MB out a second each",
    "eventhub.maximum_throughput_units": "above 0 the namespace grows to that by itself",
    "eventhub.partitions": "for life",
    "eventhub.retention_days": "how long a stopped job may stand",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask: its dotted key under the environment, a suggestion, and where to find the answer."""

    key: str
    suggestion: str
    help: str


def questions(name: str) -> Iterator[Question]:
    """All questions for one environment, in the order they are asked: every setting that has no default."""
    suggested = {
        "resource_group": f"rg-lpm-tdr-{name}",
        "databricks.table": f"lpm_{name.replace('-', '_')}.gold.tdr_streaming",
        "databricks.job": f"lpm-tdr-stream-{name}",
        "databricks.checkpoint": f"/Volumes/lpm_{name.replace('-', '_')}/ops/checkpoints/tdr-stream",
        "eventhub.namespace": f"evhns-lpm-tdr-{name}",
        "eventhub.hub": "tdr",
        "streamanalytics.job_prefix": f"asa-lpm-tdr-{name}-",
        "streamanalytics.region": "westeurope",
    }
    known = {"name", "kind", *_SECTIONS}
    keys = [field.name for field in fields(config.Environment) if _required(field) and field.name not in known]
    for section in _SECTIONS:
        cls = config_reader.kind_of(config.Environment, section)
        keys += [f"{section}.{field.name}" for field in fields(cls) if _required(field)]
    for key in keys:
        yield Question(key, suggested.get(key, ""), HELP.get(key, ""))


def _required(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def complaint(question: Question, answer: str) -> str | None:
    """What is wrong with an answer, or None."""
    try:
        config_reader.check_answer(question.key, _value(question.key, answer))
    except ConfigError as error:
        return error.message
    return None


def _value(key: str, answer: str) -> Any:
    if key == "sql.databases":
        return [part.strip() for part in answer.split(",") if part.strip()]
    return answer


def render(environments: Mapping[str, Mapping[str, str]], kinds: Mapping[str, str], common: str) -> str:
    """The text of a configuration from the answers, by environment and dotted key. Raises ConfigError where the whole does not hold."""
    parts = []
    for name, answers in environments.items():
        parts.append(f'[environments.{name}]\nkind = "{kinds[name]}"')
        parts += [f"{key} = {_toml(_value(key, answer))}" for key, answer in answers.items() if "." not in key]
        for section in _SECTIONS:
            parts.append(f"\n[environments.{name}.{section}]")
            inside = {key.partition(".")[2]: answer for key, answer in answers.items() if key.startswith(f"{section}.")}
            parts += [f"{key} = {_toml(_value(f'{section}.{key}', answer))}" for key, answer in inside.items()]
            parts += list(_comments(section))
        parts.append("")
    text = "\n".join(parts) + "\n" + common
    config_reader.parse(text, Path("lpmops.toml"))
    return text


def _comments(section: str) -> Iterator[str]:
    """The suggested settings of a section with their defaults."""
    for field in fields(config_reader.kind_of(config.Environment, section)):
        if (why := SUGGESTED.get(f"{section}.{field.name}")) is not None:
            yield f"# {field.name} = {_toml(field.default)}   # {why}"


def _toml(value: Any) -> str:
    # A JSON text is a TOML basic string, and a list of them a TOML array.
    return json.dumps(value, ensure_ascii=False)


def ask_all(name: str, ask: Callable[[Question], str], refuse: Callable[[str], None]) -> dict[str, str]:
    """Ask every question until each answer holds; `refuse` is told what was wrong."""
    answers = {}
    for question in questions(name):
        while True:
            answer = ask(question).strip() or question.suggestion
            problem = complaint(question, answer) if answer else f"{question.key} is needed."
            if problem is None:
                answers[question.key] = answer
                break
            refuse(problem)
    return answers
