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
