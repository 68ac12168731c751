-- SPDX-License-Identifier: GPL-3.0-or-later
-- Grants that were given while the daemon ran. Those of the configuration are not here.
CREATE TABLE access_grant (
    host TEXT NOT NULL,
    name TEXT NOT NULL,
    grant_json TEXT NOT NULL,
    given_by TEXT NOT NULL,
    given INTEGER NOT NULL,
    PRIMARY KEY (host, name)
) STRICT, WITHOUT ROWID;

-- What somebody wants to do that a second person must approve.
CREATE TABLE approval (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    wish_json TEXT NOT NULL,
    digest TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    asked_by_json TEXT NOT NULL,
    asked INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    state TEXT NOT NULL,
    decided_by_json TEXT
) STRICT;
CREATE INDEX approval_asked ON approval (asked_by, digest);
