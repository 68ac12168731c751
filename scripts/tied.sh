#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs a command until it ends, or until standard input does: then the command gets a SIGTERM.
#
# Usage: scripts/tied.sh COMMAND…
# Whoever holds the other end of the pipe need not live to say so; unlike a
# parent-death signal that also works through sudo.
set -uo pipefail

"$@" </dev/null &
command=$!
# Explicit, since bash gives a background command /dev/null.
cat <&0 >/dev/null &
tie=$!

trap : INT TERM
wait -n "$command" "$tie"
trap '' INT TERM
kill -TERM "$command" 2>/dev/null
wait "$command"
status=$?
kill "$tie" 2>/dev/null
exit "$status"
