-- SPDX-License-Identifier: GPL-3.0-or-later
-- Quotas of single users that were set while the daemon ran. Those of the configuration are not
-- here.
CREATE TABLE access_quota (
    host TEXT NOT NULL,
    user TEXT NOT NULL,
    limits_json TEXT NOT NULL,
    set_by TEXT NOT NULL,
    set_at INTEGER NOT NULL,
    PRIMARY KEY (host, user)
) STRICT, WITHOUT ROWID;

-- Who made how many VMs lately.
CREATE INDEX operation_creation ON operation (created) WHERE kind = 'vm.create';
