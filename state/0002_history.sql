-- Every look of the last hours is kept, so a look is written over a basis that an hour's looks share, and says itself what it turned from.
-- A turn is JSON [environment, taken_at, outline before, outline after], an outline [environment, taken_at, outline]: zlib over it, plain where found here.
-- Rows of before keep their bodies (no basis).

CREATE TABLE snapshot_basis (
    id INTEGER PRIMARY KEY,
    environment TEXT NOT NULL,
    at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX snapshot_basis_environment ON snapshot_basis (environment, bytes);

ALTER TABLE snapshot ADD COLUMN basis INTEGER;
ALTER TABLE snapshot ADD COLUMN outline BLOB;
ALTER TABLE snapshot_history ADD COLUMN basis INTEGER;
ALTER TABLE snapshot_history ADD COLUMN turn BLOB;

UPDATE snapshot SET outline = (
    SELECT CAST(json_array(environment, snapshot.taken_at, outline) AS BLOB)
    FROM snapshot_history WHERE environment = snapshot.environment ORDER BY id DESC LIMIT 1
);
UPDATE snapshot_history SET turn = CAST(json_array(environment, taken_at, found.before, outline) AS BLOB)
FROM (SELECT id, LAG(outline) OVER (PARTITION BY environment ORDER BY id) AS before FROM snapshot_history) AS found
WHERE found.id = snapshot_history.id AND found.before <> outline;

DROP INDEX snapshot_history_moment;
ALTER TABLE snapshot_history DROP COLUMN outline;
CREATE INDEX snapshot_history_moment ON snapshot_history (environment, taken_at, bytes, basis, turn);
CREATE INDEX snapshot_history_turn ON snapshot_history (environment, taken_at, turn) WHERE turn IS NOT NULL;

-- Sealed hours stand by the block of neighbouring series: a row for each series left half of every page empty. The tables of before
-- (chunk, minute_rollup) are still read until what they hold has expired; nothing is written to them any more.
CREATE TABLE raw_block (
    environment TEXT NOT NULL,
    block INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (environment, block, hour)
) STRICT;

CREATE TABLE minute_block (
    environment TEXT NOT NULL,
    block INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (environment, block, hour)
) STRICT;

-- How far the hour is that is being sealed: the ticks it had when that began, and the next block.
CREATE TABLE sealing (
    environment TEXT NOT NULL PRIMARY KEY,
    hour INTEGER NOT NULL,
    ticks INTEGER NOT NULL,
    block INTEGER NOT NULL
) STRICT;
