#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Stops what runs from this clone and removes all that was built or kept.
set -euo pipefail
. "$(dirname "$0")/prelude.sh"
cd "$REPOSITORY"

scripts/run.sh --stop
[[ ! -d .run/host ]] || scripts/host.sh purge .run/host
as_root scripts/host.sh sweep
as_root rm -rf target .cache .run
