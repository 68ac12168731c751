# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# What each script here starts with: where the repository is, how to speak, how to become root.
#
# Source it after `set -euo pipefail`. Messages go to standard error, so that a
# script's standard output stays free for what it returns.

# shellcheck disable=SC2034 # for the scripts that source this
REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

# `sudo` clears PATH to the system's; a user's own PATH often lacks these two.
case ":$PATH:" in
*:/usr/sbin:*) ;;
*) PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin ;;
esac
export PATH

say() { printf '%s\n' "$*" >&2; }

# Ends the script with one clear message.
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Runs a command as root: directly, or through sudo.
as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        fail "this needs root, and sudo is not installed: $*"
    fi
}
