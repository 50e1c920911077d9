"""What ends a run, in words: by the class that Delta names, never by its text.

`explain` turns what Spark raised into a JobError whose message begins with `[CLASS]`, as Delta's own do, so that whoever reads the run's message
finds the class, what it means for this stream, and what to do. No message holds a secret or a record.
"""

from __future__ import annotations

import re

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

# What Spark raises: some of its actions hand the error of the JVM on as it is.
SPARK_ERRORS = (PySparkException, Py4JJavaError)

_CLASS = re.compile(r"\[((?:DIFFERENT_)?DELTA_[A-Z0-9_]+(?:\.[A-Z0-9_]+)?)\]")
_FILE_GONE = re.compile(r"FILE_NOT_EXIST|FileNotFoundException|DELTA_FILE_NOT_FOUND")
_COMPARED = re.compile(r"Columns (?:renamed|dropped|with widened types): *\n((?: *\S.*\n?)+?)(?:\s*\n|$)")
_VERSION = re.compile(r"at version (\d+)")

# Open-source Delta says this one without its class.
_VERSION_GONE = re.compile(r"Cannot time travel Delta table to version")

VERSION_GONE = "DELTA_VERSION_NOT_FOUND"
FILE_GONE = "DELTA_CHANGE_DATA_FILE_NOT_FOUND"
NEEDS_CONSENT = "DELTA_STREAMING_CANNOT_CONTINUE_PROCESSING_POST_SCHEMA_EVOLUTION"
# A new run reads the table as it is now; the checkpoint stays as it is.
RESTARTS = frozenset(
    {
        "DELTA_SCHEMA_CHANGED",
        "DELTA_SCHEMA_CHANGED_WITH_STARTING_OPTIONS",
        "DELTA_SCHEMA_CHANGED_WITH_VERSION",
        "DELTA_STREAMING_METADATA_EVOLUTION",
    }
)
_INCOMPATIBLE = (
    "A column was renamed, dropped or changed its type, which the feed cannot be read across. Nothing after the change was sent. Send what is before "
    "it with a replay, then start a new checkpoint at the version after the change, and land the new columns first."
)
_WORDS = {
    "DELTA_MISSING_CHANGE_DATA": (
        "The change feed was off for a part of these versions. Enable it (delta.enableChangeDataFeed = true) and begin at a version "
        "since when it has been on without a gap; earlier records need a backfill from the table itself."
    ),
    FILE_GONE: (
        "Files of these versions were vacuumed, so their changes can no longer be read. Begin at a later version; what lies before it needs a "
        "backfill from the table itself. A longer delta.deletedFileRetentionDuration keeps them longer."
    ),
    "DELTA_CDC_START_VERSION_AFTER_LATEST": "The starting version does not exist yet. Give one that DESCRIBE HISTORY shows.",
    "DELTA_INVALID_CDC_RANGE": "The last version is before the first.",
    VERSION_GONE: "The table has no such version: its log was cleaned up, or it is yet to come. Begin at one that DESCRIBE HISTORY shows.",
    "DELTA_LOG_FILE_NOT_FOUND_FOR_STREAMING_SOURCE": (
        "The stream was away for longer than the table keeps its log, so changes were lost. Do not delete the checkpoint without a starting version: "
        "the whole table would be sent. Start a new checkpoint at the earliest version kept, and reconcile."
    ),
    "DIFFERENT_DELTA_TABLE_READ_BY_STREAMING_SOURCE": (
        "The table was dropped and made anew, and the checkpoint belongs to the old one. Start a new checkpoint at version 0 of the new table."
    ),
    "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE": _INCOMPATIBLE,
    "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_DATA_SCHEMA": _INCOMPATIBLE,
    "DELTA_STREAMING_INCOMPATIBLE_SCHEMA_CHANGE_USE_SCHEMA_LOG": _INCOMPATIBLE,
    "DELTA_SCHEMA_CHANGED": _INCOMPATIBLE,
    "DELTA_SCHEMA_CHANGED_WITH_STARTING_OPTIONS": _INCOMPATIBLE,
    "DELTA_SCHEMA_CHANGED_WITH_VERSION": _INCOMPATIBLE,
    "DELTA_STREAMING_METADATA_EVOLUTION": "The table's schema goes on changing; the next run reads it as it is then.",
    "DELTA_TABLE_NOT_FOUND": "There is no such table, or this job may not see it.",
    "DELTA_PATH_DOES_NOT_EXIST": "There is no such table, or this job may not see it.",
}
_HUB_WORDS = (
    (
        re.compile(
            r"SaslAuthenticationException|SslAuthenticationException|OAuthBearer|KafkaException: Failed to construct"
        ),
        "HUB_REFUSED_SIGN_IN",
        "The hub refused the sign-in. Check the sign-in's kind and secret, and that it may send to the hub (Azure Event Hubs Data Sender).",
    ),
    (
        re.compile(r"TopicAuthorizationException"),
        "HUB_REFUSED_SENDING",
        "The hub knows the sign-in but does not let it send. Grant Azure Event Hubs Data Sender on the hub.",
    ),
    (
        re.compile(r"RecordTooLargeException"),
        "HUB_REFUSED_SIZE",
        "The hub takes only smaller events than this job does; its tier may be Basic (256 KB).",
    ),
    (
        re.compile(r"not present in metadata|UnknownTopicOrPartition|TimeoutException"),
        "HUB_UNREACHABLE",
        "The hub did not take the events in time. Check its name, its throughput and the network; the batch is sent again by the next run.",
    ),
)


class JobError(Exception):
    """What ended a run: `error_class` and, after it in brackets, what it means and what to do."""

    def __init__(self, error_class: str, message: str) -> None:
        super().__init__(f"[{error_class}] {message}")
        self.error_class = error_class


def error_class(error: BaseException) -> str | None:
    """Delta's class of an error that Spark raised, from wherever it stands among its causes; None where Delta did not refuse."""
    text = str(error)
    found = _CLASS.search(text)
    if found and found.group(1) != "DELTA_FILE_NOT_FOUND":
        return found.group(1)
    if _FILE_GONE.search(text) and ("_change_data" in text or ".parquet" in text):
        return FILE_GONE
    return VERSION_GONE if _VERSION_GONE.search(text) else None


def explain(error: BaseException) -> JobError:
    """The error in words. What is not known keeps its type and the first line of its text."""
    if isinstance(error, JobError):
        return error
    text, found = str(error), error_class(error)
    if found == NEEDS_CONSENT:
        return JobError(found, _consent(text))
    if found is not None:
        return JobError(
            found, _WORDS.get(found, "Delta refuses to go on. Look the class up in Delta's error messages.")
        )
    for pattern, name, words in _HUB_WORDS:
        if pattern.search(text):
            return JobError(name, words)
    return JobError("STREAM_JOB_FAILED", f"{type(error).__name__}: {text.splitlines()[0] if text else 'no message'}")


def _consent(text: str) -> str:
    compared = " ".join(" ".join(block.split()) for block in _COMPARED.findall(text))
    versions = _VERSION.findall(text)
    option = f" --accept-schema-version {versions[-1]}" if versions else " --accept-schema-version VERSION"
    return (
        f"Columns were renamed or dropped{f' ({compared})' if compared else ''}, and what lands would lose them silently. Nothing after the change "
        f"was sent. Bring the landing columns up to date, then let the job go on with{option}."
    )
