-- SPDX-License-Identifier: GPL-3.0-or-later
-- Accounts, sessions and tokens. They are of people, not of a host. Of secrets only hashes are
-- kept, and of second factors what only the daemon's key opens.

CREATE TABLE account (
    name TEXT PRIMARY KEY,
    enabled INTEGER NOT NULL,
    created INTEGER NOT NULL,
    password TEXT NOT NULL,
    password_set INTEGER NOT NULL,
    last_login INTEGER,
    -- The sealed secret of a second factor; it counts once it is confirmed by a code.
    totp_sealed BLOB,
    totp_confirmed INTEGER NOT NULL DEFAULT 0,
    -- The last step whose code was used, so that none is used twice.
    totp_step INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE recovery_code (
    account TEXT NOT NULL REFERENCES account (name) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    PRIMARY KEY (account, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE session (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    account TEXT NOT NULL REFERENCES account (name) ON DELETE CASCADE,
    session_json TEXT NOT NULL,
    last_used INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_account ON session (account, last_used);

CREATE TABLE token (
    id TEXT PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    -- A person: somebody with an account, or a user of the host.
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    token_json TEXT NOT NULL,
    last_used INTEGER,
    last_from TEXT,
    expires INTEGER NOT NULL,
    UNIQUE (owner, name)
) STRICT, WITHOUT ROWID;
