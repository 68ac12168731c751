-- SPDX-License-Identifier: GPL-3.0-or-later
-- The audit log becomes a chain, one line of text an entry. What was written before is carried over
-- into it when the store is opened, since SQL can't hash.

ALTER TABLE audit RENAME TO audit_unchained;

CREATE TABLE audit (
    host TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    -- The entry itself, as it was hashed.
    line TEXT NOT NULL,
    PRIMARY KEY (host, sequence)
) STRICT, WITHOUT ROWID;

-- Up to which entry the log was cut behind a signed checkpoint.
CREATE TABLE audit_cut (
    host TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Whoever can write to this file can also drop these. They keep a fault of ours from doing it.
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only appended to');
END;
CREATE TRIGGER audit_is_only_cut_behind_a_checkpoint BEFORE DELETE ON audit
WHEN OLD.sequence > coalesce((SELECT sequence FROM audit_cut WHERE host = OLD.host), 0)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only cut behind a checkpoint');
END;
