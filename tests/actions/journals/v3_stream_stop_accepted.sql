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
INSERT INTO "audit" VALUES(1,1795915671715,'prod','ops@lpm.example','operation.begun','261129-012751-cfa9','{"action": "stream.stop", "approval": "--confirm prod", "command": "lpmops stream stop -e prod", "fence": 1, "plan": "c1daf0ba6c7a588ea40603a8189dcb442f42a3e8414263c5cbeccf5a461f133f", "reason": "", "summary": "Stop the stream job in prod: changes wait in the table until it is started again.", "ticket": ""}','0000000000000000000000000000000000000000000000000000000000000000','babfe7defaa2ac71f9ca2c91f68d52737b9ce24f81255f6327224bcb633c8485');
INSERT INTO "audit" VALUES(2,1795915671943,'prod','ops@lpm.example','step.begun','261129-012751-cfa9','{"attempt": 1, "observed": "it is not paused", "receipt": null, "step": "pause job"}','babfe7defaa2ac71f9ca2c91f68d52737b9ce24f81255f6327224bcb633c8485','4604442cd4cb4dbfe465129555c06111f84c3ba70c23b113ccbd4dae3dd72ca1');
INSERT INTO "audit" VALUES(3,1795915671958,'prod','ops@lpm.example','step.accepted','261129-012751-cfa9','{"attempt": 1, "observed": "it is not paused", "receipt": "{\"request_id\": null, \"location\": null}", "step": "pause job"}','4604442cd4cb4dbfe465129555c06111f84c3ba70c23b113ccbd4dae3dd72ca1','cbbec55601ef8a0d436809ef21527ce2ee66111995a83834c60c69ee00636f90');
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
INSERT INTO "lease" VALUES('operation 261129-012751-cfa9','4628-9b87d947-c649-423f-b57d-a9dd8d5b896b','vm',4628,1795915671824,180000);
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
INSERT INTO "operation" VALUES('261129-012751-cfa9','stream.stop','prod','c1daf0ba6c7a588ea40603a8189dcb442f42a3e8414263c5cbeccf5a461f133f','{"schema": "lpmops/plan/v1", "format": 1, "fingerprint": "c1daf0ba6c7a588ea40603a8189dcb442f42a3e8414263c5cbeccf5a461f133f", "plan": {"action": "stream.stop", "environment": "prod", "kind": "prod", "pins": {"tenant_id": "00000000-0000-4000-8000-0000000000aa", "subscription_id": "00000000-0000-4000-8000-000000000003", "resource_group": "rg-lpm-tdr-prod", "databricks.host": "https://dbx.example", "databricks.table": "lpm.gold.tdr_streaming", "eventhub.namespace": "evhns-lpm-tdr-prod", "streamanalytics.job_prefix": "asa-lpm-tdr-prod-", "sql.server": "sql.example:1433", "sql.control_database": "lpm-control"}, "target": "prod", "summary": "Stop the stream job in prod: changes wait in the table until it is started again.", "danger": 2, "steps": [{"name": "pause job", "kind": "stream.pause", "target": "job", "arguments": {"job_id": "77", "run_id": "41", "continuity": {"pause_status": "UNPAUSED", "task_retry_mode": "ON_FAILURE"}}, "changes": [{"field": "job.paused", "before": false, "after": true}], "touches": ["job.paused"]}, {"name": "cancel run 41", "kind": "stream.cancel", "target": "job", "arguments": {"job_id": "77", "run_id": "41", "continuity": {"pause_status": "UNPAUSED", "task_retry_mode": "ON_FAILURE"}}, "changes": [{"field": "job.state", "before": "running", "after": "stopped"}], "touches": ["job.state", "job.run_id"]}], "seen": {"job.id": "77", "job.continuous": {"task_retry_mode": "ON_FAILURE"}, "job.paused": false, "job.state": "running", "job.run_id": "41"}, "wish": {"reason": "", "ticket": ""}, "made_at": "2026-11-29T01:27:51.576Z", "who": "ops@lpm.example", "command": "lpmops stream stop -e prod", "undo": "lpmops stream start -e prod", "reason": "", "ticket": "", "impact": {"companies": null, "events": null, "pause_seconds": null, "budget_share": null}, "warnings": [], "refusals": [], "version": "0.1.0"}}','{"id": "0db77405b2570c41", "fingerprint": "c1daf0ba6c7a588ea40603a8189dcb442f42a3e8414263c5cbeccf5a461f133f", "who": "ops@lpm.example", "how": "--confirm prod", "at": "2026-11-29T01:27:51.576Z"}','0db77405b2570c41','lpmops stream stop -e prod','ops@lpm.example','','',2,'running',1,1795915671715,NULL,NULL,NULL,'fd6c34a8b7ac0830d976ec4a048deed1');
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
INSERT INTO "step" VALUES('261129-012751-cfa9',0,'pause job','accepted',1,1795915671929,NULL,'it is not paused','{"request_id": null, "location": null}','e8497e089cfde363721ca2e23093ec93');
INSERT INTO "step" VALUES('261129-012751-cfa9',1,'cancel run 41','planned',0,NULL,NULL,'',NULL,'dfa7cbe1819ad5a12ba96dfa5d61832c');
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
