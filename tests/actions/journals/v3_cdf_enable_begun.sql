BEGIN TRANSACTION;
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
INSERT INTO "audit" VALUES(1,1795915654390,'prod','ops@lpm.example','operation.begun','261129-012734-d631','{"action": "cdf.enable", "approval": "--confirm prod", "command": "lpmops cdf enable -e prod", "fence": 1, "plan": "153ae3cd6438c35662e4b196882d2a3c385e9129d2e6f26ffbf0d77e6e502ce6", "reason": "", "summary": "Record every change of lpm.gold.tdr_streaming from now on.", "ticket": ""}','0000000000000000000000000000000000000000000000000000000000000000','a3544444d3377c46b3110d0621dddae9c7b67607aee4e4f7266c55ac16c8bc42');
INSERT INTO "audit" VALUES(2,1795915654457,'prod','ops@lpm.example','step.begun','261129-012734-d631','{"attempt": 1, "observed": "the change feed of lpm.gold.tdr_streaming is off", "receipt": null, "step": "record the changes of lpm.gold.tdr_streaming"}','a3544444d3377c46b3110d0621dddae9c7b67607aee4e4f7266c55ac16c8bc42','d8069ed9d01f8298294e7e99e982f713f0ff11a02c10cba1286390c4c6d333a5');
CREATE TABLE chunk (
    hour INTEGER NOT NULL,
    series INTEGER NOT NULL REFERENCES series (id),
    body BLOB NOT NULL,
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
CREATE TABLE latency_minute (
    environment TEXT NOT NULL,
    minute INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (environment, minute)
) STRICT;
CREATE TABLE latency_tick (
    environment TEXT NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (environment, at)
) STRICT;
CREATE TABLE "lease" (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    renewed_at INTEGER NOT NULL,
    lasts INTEGER NOT NULL
) STRICT;
INSERT INTO "lease" VALUES('operation 261129-012734-d631','3975-07f16d1e-b188-41c1-bd1f-8d00e3d05d23','vm',3975,1795915654417,180000);
CREATE TABLE minute_block (
    environment TEXT NOT NULL,
    block INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (environment, block, hour)
) STRICT;
CREATE TABLE minute_rollup (
    hour INTEGER NOT NULL,
    series INTEGER NOT NULL REFERENCES series (id),
    body BLOB NOT NULL,
    PRIMARY KEY (series, hour)
) STRICT, WITHOUT ROWID;
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
INSERT INTO "operation" VALUES('261129-012734-d631','cdf.enable','prod','153ae3cd6438c35662e4b196882d2a3c385e9129d2e6f26ffbf0d77e6e502ce6','{"schema": "lpmops/plan/v1", "format": 1, "fingerprint": "153ae3cd6438c35662e4b196882d2a3c385e9129d2e6f26ffbf0d77e6e502ce6", "plan": {"action": "cdf.enable", "environment": "prod", "kind": "prod", "pins": {"tenant_id": "00000000-0000-4000-8000-0000000000aa", "subscription_id": "00000000-0000-4000-8000-000000000003", "resource_group": "rg-lpm-tdr-prod", "databricks.host": "https://dbx.example", "databricks.table": "lpm.gold.tdr_streaming", "eventhub.namespace": "evhns-lpm-tdr-prod", "streamanalytics.job_prefix": "asa-lpm-tdr-prod-", "sql.server": "sql.example:1433", "sql.control_database": "lpm-control"}, "target": "prod", "summary": "Record every change of lpm.gold.tdr_streaming from now on.", "danger": 2, "steps": [{"name": "record the changes of lpm.gold.tdr_streaming", "kind": "cdf.enable", "target": "lpm.gold.tdr_streaming", "arguments": {}, "changes": [{"field": "table.change_feed", "before": "off", "after": "delta"}], "touches": ["table.change_feed", "table.writer_version", "table.features"]}], "seen": {"table.change_feed": "off", "table.writer_version": 2, "table.features": [], "table.column_mapping": "none"}, "wish": {"reason": "", "ticket": ""}, "made_at": "2026-11-29T01:27:34.226Z", "who": "ops@lpm.example", "command": "lpmops cdf enable -e prod", "undo": "in a SQL warehouse: ALTER TABLE lpm.gold.tdr_streaming SET TBLPROPERTIES (delta.enableChangeDataFeed = false)", "reason": "", "ticket": "", "impact": {"companies": null, "events": null, "pause_seconds": null, "budget_share": null}, "warnings": ["What changed before this is not in the feed.", "The table''s writer version rises from 2: writers that are older than that are shut out."], "refusals": [], "version": "0.1.0"}}','{"id": "bf9461f1515d3603", "fingerprint": "153ae3cd6438c35662e4b196882d2a3c385e9129d2e6f26ffbf0d77e6e502ce6", "who": "ops@lpm.example", "how": "--confirm prod", "at": "2026-11-29T01:27:34.227Z"}','bf9461f1515d3603','lpmops cdf enable -e prod','ops@lpm.example','','',1,'running',1,1795915654389,NULL,NULL,NULL,'25a4a6e5b57fc807d263e80a0b9b4a3b');
CREATE TABLE raw_block (
    environment TEXT NOT NULL,
    block INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (environment, block, hour)
) STRICT;
CREATE TABLE remembered (
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (environment, name)
) STRICT;
CREATE TABLE sealing (
    environment TEXT NOT NULL PRIMARY KEY,
    hour INTEGER NOT NULL,
    ticks INTEGER NOT NULL,
    block INTEGER NOT NULL
) STRICT;
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (environment, name)
) STRICT;
CREATE TABLE snapshot (
    environment TEXT NOT NULL PRIMARY KEY,
    taken_at INTEGER NOT NULL,
    body BLOB NOT NULL
, basis INTEGER, outline BLOB) STRICT;
CREATE TABLE snapshot_basis (
    id INTEGER PRIMARY KEY,
    environment TEXT NOT NULL,
    at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE snapshot_history (
    id INTEGER PRIMARY KEY,
    environment TEXT NOT NULL,
    taken_at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    body BLOB NOT NULL
, basis INTEGER, turn BLOB) STRICT;
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
INSERT INTO "step" VALUES('261129-012734-d631',0,'record the changes of lpm.gold.tdr_streaming','begun',1,1795915654457,NULL,'the change feed of lpm.gold.tdr_streaming is off',NULL,'feb2a69e50e34652c785519a54bb0ab9');
CREATE TABLE tick (
    environment TEXT NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (environment, at)
) STRICT;
CREATE INDEX snapshot_basis_environment ON snapshot_basis (environment, bytes);
CREATE INDEX snapshot_history_moment ON snapshot_history (environment, taken_at, bytes, basis, turn);
CREATE INDEX snapshot_history_turn ON snapshot_history (environment, taken_at, turn) WHERE turn IS NOT NULL;
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_is_never_shortened BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
COMMIT;
