"""What ended the stream's run, by the class that its message names: what it means, what becomes of what was not sent, and what helps.

The streaming job begins its message with `[CLASS]`, as Delta does (`streamjob/failures.py` says the same to whoever reads the run). Where a new run
would end as the last one did, the steps say what to change first, and no restart is among them. A class that is not known says so of itself, and a
restart is worth a try.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lpmops.config import Environment
from lpmops.control import remedies
from lpmops.model import StreamProgress, StreamRun

_CLASS = re.compile(r"\[([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:\.[A-Z0-9_]+)*\]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the stream failed: its environment, its job's id, and the version after the last that it has read, where that is known."""

    environment: Environment
    job_id: str | None
    following: int | None


@dataclass(frozen=True, slots=True)
class Failure:
    """`meaning` follows the words "the job fails: "; `fate` is that of the changes that were not sent; `steps` are what helps, in their order."""

    meaning: str
    fate: str
    steps: Callable[[Place], tuple[str, ...]]


def failure_of(run: StreamRun) -> Failure:
    """What the message of a failed run means: Spark puts classes of its own around the one that says why, so that the first known one counts."""
    named = (found.group(1) for found in _CLASS.finditer(run.message))
    return next((BY_CLASS[name] for name in named if name in BY_CLASS), _OTHER)


def place_of(environment: Environment, run: StreamRun, progress: StreamProgress | None) -> Place:
    """Where a run failed."""
    return Place(environment, run.job_id, None if progress is None else progress.version + 1)


# What helps ----------------------------------------------------------------------------------------------------------------------------------------


def _try_again(place: Place) -> tuple[str, ...]:
    environment = place.environment
    return (remedies.list_runs(place.job_id), remedies.restart_stream(environment), remedies.watch(environment))


def _new_table(place: Place) -> tuple[str, ...]:
    environment = place.environment
    return (remedies.new_checkpoint(environment), remedies.deploy_stream(environment, 0), remedies.watch(environment))


def _later(place: Place) -> tuple[str, ...]:
    """Begin at the first version that can be read, and see what lies before it."""
    environment = place.environment
    return (
        remedies.list_versions(environment),
        remedies.new_checkpoint(environment),
        remedies.deploy_stream(environment),
        remedies.reconcile(environment),
    )


def _after_the_change(place: Place) -> tuple[str, ...]:
    """Begin after a change of the columns, and send by a replay what lies before it: each side can be read by itself."""
    return (*_later(place), remedies.plan_replay(place.environment))


def _recorded_again(place: Place) -> tuple[str, ...]:
    return (remedies.enable_feed(place.environment), *_later(place))


def _another_version(place: Place) -> tuple[str, ...]:
    """The checkpoint has no finished batch, so that the version to begin with still counts."""
    environment = place.environment
    return (remedies.list_versions(environment), remedies.deploy_stream(environment), remedies.watch(environment))


def _where_it_was(place: Place) -> tuple[str, ...]:
    environment = place.environment
    return (
        remedies.new_checkpoint(environment),
        remedies.deploy_stream(environment, place.following),
        remedies.reconcile(environment),
    )


def _agree(place: Place) -> tuple[str, ...]:
    environment = place.environment
    agree = f"add --accept-schema-version VERSION, as its message says, to the parameters of the job {environment.databricks.job}"
    return (remedies.list_runs(place.job_id), agree, remedies.restart_stream(environment))


def _give_right(place: Place) -> tuple[str, ...]:
    environment = place.environment
    return (remedies.rights(environment), remedies.restart_stream(environment), remedies.watch(environment))


def _larger_tier(place: Place) -> tuple[str, ...]:
    environment = place.environment
    return (remedies.provision(environment), remedies.restart_stream(environment), remedies.watch(environment))


# What it means -------------------------------------------------------------------------------------------------------------------------------------

_WAIT = "Changes wait in the table, none is lost while its history is kept."
_GONE = "Of the versions that can't be read any more, what was not sent is lost to the stream; only what the table holds now remains."
_OTHER = Failure("its message says why.", _WAIT, _try_again)
_VACUUMED = Failure("VACUUM has removed change files that it has not read.", _GONE, _later)
_COLUMNS = Failure(
    "a column was renamed, dropped or changed its type, and no stream reads across that.",
    "Nothing after the change was sent, none is lost while the files are kept: let the landing tables take the new columns, begin again with the "
    "version of the change, and send what lies before it by a replay.",
    _after_the_change,
)
_UNSEEN = Failure("there is no such table, or the job may not see it.", _WAIT, _give_right)
_REFUSED = Failure("the hub refuses the job.", _WAIT, _give_right)

BY_CLASS: Mapping[str, Failure] = {
    "DIFFERENT_DELTA_TABLE_READ_BY_STREAMING_SOURCE": Failure(
        "the table was dropped and made anew, and its checkpoint belongs to the old one.",
        "What the old table held and was not sent is gone with it, unless that is brought back (UNDROP TABLE, for seven days). The new one can be "
        "sent whole; its versions count from 0 again, and a change of the same record, version and kind as one that landed is taken for that.",
        _new_table,
    ),
    "DELTA_CHANGE_DATA_FILE_NOT_FOUND": _VACUUMED,
    "DELTA_FILE_NOT_FOUND_DETAILED": _VACUUMED,
    "DELTA_VERSION_NOT_FOUND": Failure(
        "the table has no such version: its log was cleaned up, or it is yet to come.", _GONE, _later
    ),
    "DELTA_LOG_FILE_NOT_FOUND_FOR_STREAMING_SOURCE": Failure(
        "it was away for longer than the table keeps its log.", _GONE, _later
    ),
    "DELTA_MISSING_CHANGE_DATA": Failure(
        "the change feed was off for a part of the versions that it has to read.",
        "Those changes were never recorded, and none of them can be sent; only what the table holds now remains.",
        _recorded_again,
    ),
    "DELTA_CDC_START_VERSION_AFTER_LATEST": Failure(
        "the version that it is to begin with does not exist yet.",
        "Nothing is lost: no batch was begun.",
        _another_version,
    ),
    "STARTING_VERSION_NEEDED": Failure(
        "its checkpoint has no finished batch, and it is not said which version it begins with.",
        "Nothing is lost while the table's history is kept.",
        _another_version,
    ),
    "CHECKPOINT_DAMAGED": Failure(
        "its checkpoint has lost where it was, so that it would begin anew.",
        "Nothing is lost while the table's history is kept: bring the folder offsets back, or begin again where it was.",
        _where_it_was,
    ),
    "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE": _COLUMNS,
    "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_DATA_SCHEMA": _COLUMNS,
    "DELTA_STREAMING_INCOMPATIBLE_SCHEMA_CHANGE_USE_SCHEMA_LOG": _COLUMNS,
    "DELTA_SCHEMA_CHANGED": _COLUMNS,
    "DELTA_SCHEMA_CHANGED_WITH_STARTING_OPTIONS": _COLUMNS,
    "DELTA_SCHEMA_CHANGED_WITH_VERSION": _COLUMNS,
    "DELTA_STREAMING_METADATA_EVOLUTION": Failure(
        "the table's columns go on changing; the next run reads them as they are then.", _WAIT, _try_again
    ),
    "DELTA_STREAMING_CANNOT_CONTINUE_PROCESSING_POST_SCHEMA_EVOLUTION": Failure(
        "columns were renamed or dropped, and it goes on only once somebody agrees.",
        "Nothing after the change was sent, none is lost while the files are kept: let the landing tables take the new columns first.",
        _agree,
    ),
    "DELTA_TABLE_NOT_FOUND": _UNSEEN,
    "DELTA_PATH_DOES_NOT_EXIST": _UNSEEN,
    "HUB_REFUSED_SIGN_IN": _REFUSED,
    "HUB_REFUSED_SENDING": _REFUSED,
    "HUB_REFUSED_SIZE": Failure("the hub takes only smaller events; its tier may be Basic.", _WAIT, _larger_tier),
}
