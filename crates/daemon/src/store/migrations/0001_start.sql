-- SPDX-License-Identifier: GPL-3.0-or-later
-- Times are milliseconds since 1970 in UTC. Columns that end in _json hold the model's types.

CREATE TABLE vm (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    cpus INTEGER NOT NULL,
    memory INTEGER NOT NULL,
    agent TEXT,
    -- What is intended for it; NULL for a VM made elsewhere.
    managed_json TEXT,
    -- What it would be if it were adopted; NULL for a VM of ours.
    foreign_json TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX vm_name ON vm (host, name);

CREATE TABLE image (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    name TEXT NOT NULL,
    image_json TEXT NOT NULL,
    UNIQUE (host, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE operation (
    -- The order in which they were asked for.
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    kind TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    target_id TEXT NOT NULL,
    target_name TEXT NOT NULL,
    parameters_json TEXT NOT NULL,
    actor TEXT NOT NULL,
    actor_json TEXT NOT NULL,
    idempotency_key TEXT,
    state TEXT NOT NULL,
    steps_json TEXT NOT NULL,
    progress_json TEXT,
    result_json TEXT NOT NULL,
    problem_json TEXT,
    created INTEGER NOT NULL,
    started INTEGER,
    ended INTEGER,
    -- What would undo what was done so far, the latest last.
    undo_json TEXT NOT NULL,
    -- How often it was begun.
    attempts INTEGER NOT NULL DEFAULT 0,
    -- Whether somebody asked to stop it.
    cancelling INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX operation_key ON operation (actor, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX operation_unfinished ON operation (sequence) WHERE ended IS NULL;
CREATE INDEX operation_target ON operation (target_id, sequence);
CREATE INDEX operation_ended ON operation (ended) WHERE ended IS NOT NULL;

CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL,
    time INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    subject_name TEXT NOT NULL,
    -- The subject's id; of an operation's event, the id of what it works on.
    about TEXT NOT NULL,
    data_json TEXT NOT NULL
) STRICT;
CREATE INDEX event_about ON event (about, seq);

CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    time INTEGER NOT NULL,
    principal_json TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    decision_json TEXT NOT NULL,
    operation TEXT
) STRICT;

-- What the host last said of itself: host, pools, networks, and the boot it was seen in.
CREATE TABLE host_fact (
    host TEXT NOT NULL,
    what TEXT NOT NULL,
    fact_json TEXT NOT NULL,
    PRIMARY KEY (host, what)
) STRICT, WITHOUT ROWID;

-- VMs that are still to be started, since their host booted.
CREATE TABLE autostart (
    host TEXT NOT NULL,
    vm TEXT NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (host, vm)
) STRICT, WITHOUT ROWID;

-- When each recurring task runs next.
CREATE TABLE timer (
    host TEXT NOT NULL,
    task TEXT NOT NULL,
    next_run INTEGER NOT NULL,
    PRIMARY KEY (host, task)
) STRICT, WITHOUT ROWID;
