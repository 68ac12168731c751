#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Fails for each dependency that docs/dependencies.md does not explain, and for each line there that is none.
set -euo pipefail
. "$(dirname "$0")/prelude.sh"
. "$REPOSITORY/scripts/prerequisites.sh"
cd "$REPOSITORY"

list_dependencies() {
    # From [workspace.dependencies] and what fuzz/ adds: the crates that are not ours.
    awk '/^\[/ { inside = $0 == "[workspace.dependencies]" } inside && !/path = "/' Cargo.toml |
        sed -nE 's/^([a-z0-9_-]+) *=.*/\1/p'
    awk '/^\[/ { inside = $0 == "[dependencies]" } inside && !/path = "/' fuzz/Cargo.toml |
        sed -nE 's/^([a-z0-9_-]+) *=.*/\1/p'
    printf '%s\n' "${PACKAGES[@]}" "${CARGO_DENY%@*}" "${CARGO_NEXTEST%@*}"
}

list_explained() { sed -nE 's/^\| ([a-z0-9_+-]+) \| .+ \|$/\1/p' docs/dependencies.md | grep -vxE 'crate|package|tool'; }

unexplained=$(comm -23 <(list_dependencies | sort -u) <(list_explained | sort -u))
unused=$(comm -13 <(list_dependencies | sort -u) <(list_explained | sort -u))
[[ -z $unexplained ]] || say "docs/dependencies.md does not explain: ${unexplained//$'\n'/, }"
[[ -z $unused ]] || say "docs/dependencies.md explains what is no dependency: ${unused//$'\n'/, }"
[[ -z $unexplained$unused ]]
say "$(list_explained | wc -l) dependencies, each explained"
