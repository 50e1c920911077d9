"""Reads `lpmops.toml` into `config.Config`, or says precisely why it cannot.

Looked for in this order: the path given on the command line, `LPMOPS_CONFIG`, `./lpmops.toml`, the user's configuration folder. A wrong file
raises one ConfigError that names file, line, key and, for an unknown key, the nearest known one; a value is never quoted, as it could be a secret.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

from lpmops import config, paths
from lpmops.config import Column, Config, Environment
from lpmops.errors import ConfigError
from lpmops.model import Kind

_LARGEST = 1_000_000
_ENVIRONMENT_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_COLUMN_TYPE = re.compile(
    r"(N?VARCHAR\((\d{1,4}|MAX)\)|BIGINT|INT|SMALLINT|BIT|FLOAT|DATE|DATETIME2(\([0-7]\))?|DECIMAL\(\d{1,2},\s?\d{1,2}\))",
    re.IGNORECASE,
)
_HEADER = re.compile(r"\s*\[\[?\s*(?P<key>[^\]]+?)\s*\]\]?\s*(#.*)?")
_KEY = re.compile(
    r"\s*(?P<key>(?:\"[^\"]*\"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:\"[^\"]*\"|'[^']*'|[A-Za-z0-9_-]+))*)\s*="
)
_PART = re.compile(r"\"([^\"]*)\"|'([^']*)'|([A-Za-z0-9_-]+)")


def locate(explicit: str | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The configuration file that counts. Raises ConfigError saying where was looked."""
    places = paths.config_candidates(explicit, environ)
    for _, path in places:
        if path.exists():
            return path
    looked = ", ".join(f"{path} ({why})" for why, path in places)
    raise ConfigError(
        f"No configuration found; looked at {looked}.",
        hint="Make one with: lpmops init   (or try everything without an account: lpmops demo)",
    )


def load(explicit: str | None = None) -> Config:
    """Read and check the configuration that counts. Raises ConfigError."""
    return read(locate(explicit))


def read(path: Path) -> Config:
    """Read and check one file. Raises ConfigError."""
    return parse(_text(path), path)


def parse(text: str, path: Path) -> Config:
    """Check `text` as the content of `path`. Raises ConfigError."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        reason = reason.replace("at end of document", f"at line {len(text.splitlines())}, the end of the file")
        raise ConfigError(
            f"{path}: this is not TOML: {reason}.", hint="Mend that place, then: lpmops config check"
        ) from None
    return parse_document(document, path, dict(key_lines(text)))


def parse_document(document: dict[str, Any], path: Path, lines: Mapping[str, int] | None = None) -> Config:
    """Check a parsed document; `lines` says where each dotted key stands. Raises ConfigError."""
    return _Reader(path, dict(lines or {})).config(document)


def check_answer(key: str, value: Any) -> None:
    """Check one setting of an environment by its dotted key, such as `sql.server`. Raises ConfigError."""
    section, _, name = key.rpartition(".")
    cls = kind_of(Environment, section) if section else Environment
    field = next(field for field in fields(cls) if field.name == name)
    _Reader(Path("answer"), {}).value(kind_of(cls, name), value, key, field)


def _text(path: Path) -> str:
    try:
        if path.is_file() and path.stat().st_size > _LARGEST:
            raise ConfigError(
                f"{path} is larger than {_LARGEST:,} bytes; that is no lpmops configuration.",
                hint="Name another file with --config.",
            )
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path} can't be read: {error.strerror}.", hint="Name another file with --config, or mend its rights."
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not UTF-8 text (byte {error.start}).", hint="Save it as UTF-8, then: lpmops config check"
        ) from None


def key_lines(text: str) -> Iterator[tuple[str, int]]:
    """Each dotted key of a TOML text with the line it stands on; keys inside inline tables count as their table's."""
    table = ""
    quote: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if quote is not None:
            if line.count(quote) % 2:
                quote = None
            continue
        if header := _HEADER.fullmatch(line):
            table = _dotted(header["key"])
            yield table, number
        elif match := _KEY.match(line):
            key = _dotted(match["key"])
            yield (f"{table}.{key}" if table else key), number
        for mark in ('"""', "'''"):
            if line.count(mark) % 2:
                quote = mark


def _dotted(key: str) -> str:
    return ".".join(next(group for group in part.groups() if group is not None) for part in _PART.finditer(key))


def _can_be(kind: str) -> bool:
    """Whether the numbers of a column's type are ones that can be: what comes in as float has 15 digits."""
    name, _, rest = kind.upper().partition("(")
    sizes = [int(size) for size in rest.removesuffix(")").split(",") if size.strip().isdigit()]
    if name == "DECIMAL":
        return 1 <= sizes[0] <= 15 and sizes[1] <= sizes[0]
    return name not in ("NVARCHAR", "VARCHAR") or not sizes or 1 <= sizes[0] <= (4000 if name == "NVARCHAR" else 8000)


class _Reader:
    """Walks a parsed document beside the types of `config`; every complaint goes through `fail`."""

    def __init__(self, path: Path, lines: dict[str, int]) -> None:
        self._path = path
        self._lines = lines

    def fail(self, key: str, problem: str, hint: str = "") -> typing.NoReturn:
        """Raise the one ConfigError for `key`, with file and line."""
        known = key
        while known and known not in self._lines:
            known = known.rpartition(".")[0]
        where = f"{self._path}, line {self._lines[known]}" if known else f"{self._path}"
        raise ConfigError(f"{where}: {key or 'the file'} {problem}.", hint=hint or "Mend it, then: lpmops config check")

    def config(self, document: dict[str, Any]) -> Config:
        """The whole document as a Config."""
        known = {
            "environments",
            "columns",
            "state_directory",
            *(field.name for field in fields(Config) if is_dataclass(_kind(field, Config))),
        }
        self._refuse_unknown(document, known, "")
        sections = {
            name: self.record(kind_of(Config, name), document[name], name)
            for name in known - {"environments", "columns", "state_directory"}
            if name in document
        }
        return Config(
            environments=self._environments(document.get("environments")),
            state_directory=self._scalar(str, document.get("state_directory", ""), "state_directory"),
            columns=tuple(self._columns(document.get("columns", {}))),
            path=self._path,
            origins=self._lines,
            **sections,
        )

    def _environments(self, value: Any) -> dict[str, Environment]:
        if not isinstance(value, dict) or not value:
            self.fail(
                "environments",
                "is missing: at least one [environments.NAME] is needed",
                "Make a configuration with: lpmops init",
            )
        found = {}
        for name, body in value.items():
            key = f"environments.{name}"
            if not _ENVIRONMENT_NAME.fullmatch(name):
                self.fail(
                    key,
                    "is no environment name: lower-case letters, digits and dashes, starting with a letter, up to 32",
                )
            found[name] = self.record(Environment, body, key, given={"name": name})
            self._whole(found[name], key)
        return found

    def _whole(self, environment: Environment, key: str) -> None:
        """What one field alone can't show: settings that need each other."""
        if environment.eventhub.auth == "connection-string" and not environment.eventhub.connection_string:
            self.fail(f"{key}.eventhub.connection_string", 'is missing, and auth is "connection-string"')
        if environment.streamanalytics.storage_account_key and not environment.streamanalytics.storage_account:
            self.fail(f"{key}.streamanalytics.storage_account", "is missing, and storage_account_key is given")
        hub = environment.eventhub
        if hub.maximum_throughput_units and hub.tier != "Standard":
            self.fail(f"{key}.eventhub.maximum_throughput_units", "is only for the Standard tier")
        if 0 < hub.maximum_throughput_units < hub.throughput_units:
            self.fail(f"{key}.eventhub.maximum_throughput_units", "is less than throughput_units; 0 lets nothing grow")
        if environment.sql.auth == "password" and not (environment.sql.user and environment.sql.password):
            self.fail(f"{key}.sql.password", 'or user is missing, and auth is "password"')
        if environment.identity.credential == "token-endpoint" and not (
            environment.identity.endpoint and environment.identity.header
        ):
            self.fail(f"{key}.identity.endpoint", 'or header is missing, and credential is "token-endpoint"')
        names = [environment.sql.control_database, *environment.sql.databases]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            self.fail(f"{key}.sql.databases", f"names {twice[0]} twice")

    def _columns(self, value: Any) -> Iterator[Column]:
        if not isinstance(value, dict):
            self.fail("columns", "must be a table: column = TYPE")
        names: list[str] = []
        for name, body in value.items():
            key = f"columns.{name}"
            parts = {"type": body} if isinstance(body, str) else body
            column: Column = self.record(Column, parts, key, given={"name": name})
            if not _COLUMN_NAME.fullmatch(name):
                self.fail(key, "is no column name: letters, digits and underscores, up to 128")
            if name.lower() in config.OWN_COLUMNS:
                self.fail(
                    key,
                    "has a name that lpmops' own columns have",
                    "Give it another one, and say: source = the column's name.",
                )
            if name.lower() in (known.lower() for known in names):
                self.fail(key, "is named twice: case makes no other column")
            names.append(name)
            if not _COLUMN_TYPE.fullmatch(column.type) or not _can_be(column.type):
                self.fail(
                    key,
                    "has a type that can't land",
                    "Use NVARCHAR(n|MAX) with n up to 4000, BIGINT, INT, BIT, FLOAT, DATE, DATETIME2(n), or DECIMAL(p,s) with p up to 15.",
                )
            yield column

    def record(self, cls: type[Any], value: Any, key: str, given: Mapping[str, Any] | None = None) -> Any:
        """`value` as an instance of the dataclass `cls`; `given` are fields that do not come from the file."""
        if not isinstance(value, dict):
            self.fail(key, f"must be a table [{key}]")
        given = given or {}
        self._refuse_unknown(value, {field.name for field in fields(cls)} - set(given), key)
        built: dict[str, Any] = dict(given)
        for field in fields(cls):
            at = f"{key}.{field.name}"
            if field.name in given:
                continue
            if field.name in value:
                built[field.name] = self.value(_kind(field, cls), value[field.name], at, field)
            elif field.default is MISSING and field.default_factory is MISSING:
                self.fail(at, "is missing")
        return cls(**built)

    def value(self, kind: Any, value: Any, key: str, field: Field[Any]) -> Any:
        """`value` as the field wants it."""
        if is_dataclass(kind):
            return self.record(typing.cast(type[Any], kind), value, key)
        if value == [] and field.default == ():
            return ()
        converted = self._scalar(kind, value, key)
        pattern, choices = field.metadata.get("pattern"), field.metadata.get("choices")
        if choices and converted not in choices:
            near = difflib.get_close_matches(str(converted), choices, n=1)
            self.fail(key, f"must be one of {', '.join(choices)}" + (f" (did you mean {near[0]}?)" if near else ""))
        each = converted if isinstance(converted, tuple) else (converted,)
        if pattern and converted and not all(pattern.fullmatch(item) for item in each):
            self.fail(key, f"must be {field.metadata['says']}")
        self._check_size(converted, key, field)
        return converted

    def _check_size(self, number: Any, key: str, field: Field[Any]) -> None:
        """Whether a number lies where the field wants it."""
        low, high, off = (field.metadata.get(name) for name in ("low", "high", "off"))
        words = ", or 0 for never" if off else ""
        if off and number == 0:
            return
        if low is not None and number < low:
            self.fail(key, f"must be {low} or more{words}")
        if high is not None and number > high:
            self.fail(key, f"must be {high} or less{words}")

    def _scalar(self, kind: Any, value: Any, key: str) -> Any:
        if kind is Kind:
            if value not in list(Kind):
                self.fail(key, "must be dev, test or prod")
            return Kind(value)
        if typing.get_origin(kind) is tuple:
            if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
                self.fail(key, "must be a list of names, at least one")
            return tuple(value)
        check, words = _SCALARS[kind]
        if not check(value):
            self.fail(key, f"must be {words}")
        return kind(value)

    def _refuse_unknown(self, value: dict[str, Any], known: set[str], key: str) -> None:
        for name in value:
            if name not in known:
                near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
                meant = f" (did you mean {near[0]}?)" if near else f"; known here: {', '.join(sorted(known))}"
                self.fail(
                    f"{key}.{name}" if key else name, f"is not a setting{meant}".rstrip("?") + ("?" if near else "")
                )


_SCALARS: dict[Any, tuple[Callable[[Any], bool], str]] = {
    str: (lambda value: isinstance(value, str) and "\0" not in value, "text"),
    bool: (lambda value: isinstance(value, bool), "true or false"),
    int: (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number"),
    float: (
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12,
        "a number",
    ),
}


def _kind(field: Field[Any], cls: type[Any]) -> Any:
    return kind_of(cls, field.name)


def kind_of(cls: type[Any], name: str) -> Any:
    """The type of a field, without the None it may also be."""
    kind = _hints(cls)[name]
    if isinstance(kind, types.UnionType):
        return next(part for part in typing.get_args(kind) if part is not type(None))
    return kind


def _hints(cls: type[Any]) -> dict[str, Any]:
    hints = _HINTS.get(cls)
    if hints is None:
        hints = _HINTS[cls] = typing.get_type_hints(cls, vars(config))
    return hints


_HINTS: dict[type[Any], dict[str, Any]] = {}
