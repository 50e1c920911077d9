-- What lpmops has seen: snapshots, samples, latency and marks. A cache and a history; the clouds are the truth.
-- Times are whole milliseconds since 1970 UTC. Every body is zlib over JSON or packed arrays, so a damaged one is noticed and never believed.

CREATE TABLE snapshot (
    environment TEXT NOT NULL PRIMARY KEY,
    taken_at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;

CREATE TABLE snapshot_history (
    id INTEGER PRIMARY KEY,
    environment TEXT NOT NULL,
    taken_at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    outline TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX snapshot_history_moment ON snapshot_history (environment, taken_at, bytes, outline);

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (environment, name)
) STRICT;

CREATE TABLE tick (
    environment TEXT NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (environment, at)
) STRICT;

CREATE TABLE chunk (
    hour INTEGER NOT NULL,
    series INTEGER NOT NULL REFERENCES series (id),
    body BLOB NOT NULL,
    PRIMARY KEY (series, hour)
) STRICT, WITHOUT ROWID;

CREATE TABLE minute_rollup (
    hour INTEGER NOT NULL,
    series INTEGER NOT NULL REFERENCES series (id),
    body BLOB NOT NULL,
    PRIMARY KEY (series, hour)
) STRICT, WITHOUT ROWID;

CREATE TABLE hour_rollup (
    hour INTEGER NOT NULL,
    series INTEGER NOT NULL REFERENCES series (id),
    samples INTEGER NOT NULL,
    low REAL NOT NULL,
    high REAL NOT NULL,
    total REAL NOT NULL,
    last REAL NOT NULL,
    PRIMARY KEY (series, hour)
) STRICT, WITHOUT ROWID;

CREATE TABLE high_water (
    environment TEXT NOT NULL,
    database TEXT NOT NULL,
    revision INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (environment, database)
) STRICT;

CREATE TABLE latency_tick (
    environment TEXT NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (environment, at)
) STRICT;

CREATE TABLE latency_minute (
    environment TEXT NOT NULL,
    minute INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (environment, minute)
) STRICT;

CREATE TABLE remembered (
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (environment, name)
) STRICT;

CREATE TABLE poller (
    environment TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    renewed_at INTEGER NOT NULL,
    lasts INTEGER NOT NULL
) STRICT;
