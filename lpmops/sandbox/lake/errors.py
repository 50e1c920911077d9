"""What a Delta table refuses, by the error class that Databricks names.

One factory a class, so that a message and its SQLSTATE stand in one place. Texts and states are those of delta-io/delta
`delta-error-classes.json`; DELTA_CHANGE_DATA_FILE_NOT_FOUND is Databricks' own, with its text from docs.databricks.com/error-messages and
an assumed SQLSTATE.
"""

from __future__ import annotations


class DeltaFeedError(Exception):
    """A refusal with its class, as in `[DELTA_MISSING_CHANGE_DATA] Error getting change data ... SQLSTATE: KD002`."""

    def __init__(self, error_class: str, sqlstate: str, message: str) -> None:
        super().__init__(f"[{error_class}] {message} SQLSTATE: {sqlstate}")
        self.error_class = error_class
        self.sqlstate = sqlstate
        self.message = message


def missing_change_data(start: int, end: int, version: int) -> DeltaFeedError:
    """The feed was off at `version`, which [start, end] needs."""
    return DeltaFeedError(
        "DELTA_MISSING_CHANGE_DATA",
        "KD002",
        f"Error getting change data for range [{start} , {end}] as change data was not\nrecorded for version [{version}]. If you've enabled change "
        "data feed on this table,\nuse `DESCRIBE HISTORY` to see when it was first enabled.\nOtherwise, to start recording change data, use "
        "`ALTER TABLE table_name SET TBLPROPERTIES\n(delta.enableChangeDataFeed=true)`.",
    )


def start_after_latest(start: int, latest: int) -> DeltaFeedError:
    """The first version asked for does not exist yet."""
    return DeltaFeedError(
        "DELTA_CDC_START_VERSION_AFTER_LATEST",
        "22003",
        f"Start version {start} for change data feed exceeds the latest table version {latest}.",
    )


def invalid_range(start: int, end: int) -> DeltaFeedError:
    """The range ends before it starts."""
    return DeltaFeedError(
        "DELTA_INVALID_CDC_RANGE",
        "22003",
        f"CDC range from start {start} to end {end} was invalid. End cannot be before start.",
    )


def version_not_found(version: int, earliest: int, latest: int) -> DeltaFeedError:
    """The log of a version was cleaned up, or the version does not exist."""
    return DeltaFeedError(
        "DELTA_VERSION_NOT_FOUND",
        "22003",
        f"Cannot time travel Delta table to version {version}. Available versions: [{earliest}, {latest}].",
    )


def timestamp_after_latest(asked: str, latest: str) -> DeltaFeedError:
    """A timestamp past the last commit."""
    return DeltaFeedError(
        "DELTA_TIMESTAMP_GREATER_THAN_COMMIT",
        "42816",
        f"Timestamp {asked} is after the table's latest version ({latest}). Use a timestamp at or before {latest}.",
    )


def timestamp_before_log(asked: str, earliest: str) -> DeltaFeedError:
    """A timestamp before the retained log."""
    return DeltaFeedError(
        "DELTA_TIMESTAMP_EARLIER_THAN_COMMIT_RETENTION",
        "42816",
        f"The provided timestamp ({asked}) is before the earliest version available to\n"
        f"this table ({earliest}). Please use a timestamp after {earliest}.",
    )


def invalid_timestamp(text: str) -> DeltaFeedError:
    """Not a timestamp of the two forms that table_changes takes."""
    return DeltaFeedError(
        "DELTA_INVALID_TIMESTAMP_FORMAT",
        "22007",
        f"The provided timestamp {text} does not match the expected syntax yyyy-MM-dd HH:mm:ss[.SSS].",
    )


def change_file_not_found(path: str) -> DeltaFeedError:
    """A change file was vacuumed: the rows of that version are gone from the feed."""
    return DeltaFeedError(
        "DELTA_CHANGE_DATA_FILE_NOT_FOUND",
        "42K03",
        f"File {path} referenced in the transaction log cannot be found. "
        "This can occur when data has been manually deleted from the file system rather "
        "than using the table `DELETE` statement. "
        "This request appears to be targeting Change Data Feed, if that is the case, this error can occur when "
        "the change data file is out of the retention period and has been deleted by the `VACUUM` statement.",
    )


def incompatible_schema_change(start: int, end: int, read: str, read_version: int, version: int) -> DeltaFeedError:
    """The commit `version` within the range has columns that went or changed their type before its end."""
    return DeltaFeedError(
        "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE",
        "0AKDC",
        f"Retrieving table changes between version {start} and {end} failed because of an incompatible schema change.\n"
        f"Your read schema is {read} at version {read_version}, but we found an incompatible schema change at version {version}.\n"
        f"If possible, please query table changes separately from version {start} to {version} - 1, and from version {version} to {end}.",
    )


def incompatible_data_schema(start: int, end: int, read: str, read_version: int, version: int) -> DeltaFeedError:
    """The range begins with columns that went or changed their type before its end, and none of its commits says so but by the change itself."""
    return DeltaFeedError(
        "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_DATA_SCHEMA",
        "0AKDC",
        f"Retrieving table changes between version {start} and {end} failed because of an incompatible data schema.\n"
        f"Your read schema is {read} at version {read_version}, but we found an incompatible data schema at version {version}.\n"
        "If possible, please retrieve the table changes using the end version's schema by setting "
        "spark.databricks.delta.changeDataFeed.defaultSchemaModeForColumnMappingTable to `endVersion`, or contact support.",
    )


def table_not_found(name: str) -> DeltaFeedError:
    """No table lies at the place."""
    return DeltaFeedError("DELTA_TABLE_NOT_FOUND", "42P01", f"Delta table {name} doesn't exist.")


def different_table(new_id: str, old_id: str) -> DeltaFeedError:
    """The table was dropped and made anew under a running stream."""
    return DeltaFeedError(
        "DIFFERENT_DELTA_TABLE_READ_BY_STREAMING_SOURCE",
        "55019",
        f"The streaming query was reading from an unexpected Delta table (id = '{new_id}'). \n"
        f"It used to read from another Delta table (id = '{old_id}') "
        "according to checkpoint. \nThis may happen when you changed the code to read from a new table or you deleted and \n"
        "re-created a table. Please "
        "revert your change or delete your streaming query checkpoint \nto restart from scratch.",
    )


def log_not_found_for_stream() -> DeltaFeedError:
    """The stream lagged past the retained log."""
    return DeltaFeedError(
        "DELTA_LOG_FILE_NOT_FOUND_FOR_STREAMING_SOURCE",
        "42K03",
        "If you never deleted it, it's likely your query is lagging behind. "
        "Please delete its checkpoint to restart from scratch. To avoid this happening "
        "again, you can update your retention policy of your Delta table",
    )


def unknown_property(name: str) -> DeltaFeedError:
    """A delta.* property that Delta does not know."""
    return DeltaFeedError(
        "DELTA_UNKNOWN_CONFIGURATION",
        "F0000",
        f"Unknown configuration was specified: {name}\n"
        "To disable this check, set spark.databricks.delta.allowArbitraryProperties.enabled=true in the "
        "Spark session configuration.",
    )
