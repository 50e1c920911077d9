"""What the stream job's own code says of a range that Delta refuses: the class, what it means for a replay, and what to do.

The job (`lpmops/streamjob`) never hands Delta's text on. Its words are written again here, because the sandbox imports nothing of lpmops; a test
holds both together.
"""

from __future__ import annotations

from lpmops.sandbox.lake.errors import DeltaFeedError

_INCOMPATIBLE = (
    "A column was renamed, dropped or changed its type, which the feed cannot be read across. Nothing after the change was sent. Send what is before "
    "it with a replay, then start a new checkpoint at the version after the change, and land the new columns first."
)
_WORDS = {
    "DELTA_MISSING_CHANGE_DATA": (
        "The change feed was off for a part of these versions. Enable it (delta.enableChangeDataFeed = true) and begin at a version "
        "since when it has been on without a gap; earlier records need a backfill from the table itself."
    ),
    "DELTA_CHANGE_DATA_FILE_NOT_FOUND": (
        "Files of these versions were vacuumed, so their changes can no longer be read. Begin at a later version; what lies before it needs a "
        "backfill from the table itself. A longer delta.deletedFileRetentionDuration keeps them longer."
    ),
    "DELTA_CDC_START_VERSION_AFTER_LATEST": "The starting version does not exist yet. Give one that DESCRIBE HISTORY shows.",
    "DELTA_INVALID_CDC_RANGE": "The last version is before the first.",
    "DELTA_VERSION_NOT_FOUND": (
        "The table has no such version: its log was cleaned up, or it is yet to come. Begin at one that DESCRIBE HISTORY shows."
    ),
    "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE": _INCOMPATIBLE,
    "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_DATA_SCHEMA": _INCOMPATIBLE,
}


def explained(error: DeltaFeedError) -> str:
    """The error as the job's run ends with it."""
    words = _WORDS.get(error.error_class, "Delta refuses to go on. Look the class up in Delta's error messages.")
    return f"[{error.error_class}] {words}"
