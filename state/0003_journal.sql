-- What lpmops was asked to change and how far it came, and the chain of what was done. Plain values: any lpmops of this version or later can read on.
-- Times are whole milliseconds since 1970 UTC. A row's checksum covers all its other columns, so that a damaged one is never acted on.

CREATE TABLE operation (
    id TEXT NOT NULL PRIMARY KEY,
    action TEXT NOT NULL,
    environment TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    plan TEXT NOT NULL,
    approval TEXT NOT NULL,
    approval_id TEXT NOT NULL UNIQUE,
    command TEXT NOT NULL,
    who TEXT NOT NULL,
    reason TEXT NOT NULL,
    ticket TEXT NOT NULL,
    steps INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('approved', 'running', 'verifying', 'succeeded', 'failed', 'in_doubt', 'interrupted', 'cancelled')),
    fence INTEGER,
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    error TEXT,
    result TEXT,
    checksum TEXT NOT NULL
) STRICT;

CREATE TABLE step (
    operation TEXT NOT NULL REFERENCES operation (id),
    seq INTEGER NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('planned', 'begun', 'accepted', 'done', 'skipped', 'failed', 'in_doubt', 'cancelled')),
    attempt INTEGER NOT NULL,
    begun_at INTEGER,
    ended_at INTEGER,
    observed TEXT NOT NULL,
    receipt TEXT,
    checksum TEXT NOT NULL,
    PRIMARY KEY (operation, seq)
) STRICT;

CREATE TABLE audit (
    seq INTEGER NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    environment TEXT NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    operation TEXT,
    body TEXT NOT NULL,
    prev TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_is_never_shortened BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

-- One table of leases for whatever one process at a time does on this machine: polling an environment, running an operation.
ALTER TABLE poller RENAME TO lease;
ALTER TABLE lease RENAME COLUMN environment TO name;
