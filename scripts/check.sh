#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The steps of `./dev lint` and `./dev test`, each with its name and its time.
#
# Usage: scripts/check.sh lint|test [--long]
# Every step runs, also after one that failed, so that all faults are seen at
# once. What the tests start belongs to one group and is ended with it.
# --long sets HV_LONG=1: tests that draw random cases then draw many more.
set -euo pipefail
. "$(dirname "$0")/prelude.sh"
cd "$REPOSITORY"
exec </dev/null

kind=${1:-test}
for option in "${@:2}"; do
    case $option in
    --long) export HV_LONG=1 ;;
    *) fail "no such option: $option (there is --long)" ;;
    esac
done

# scripts/host.sh notes it for each host that a test starts.
export HOST_GROUP=check-$$
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto} INSTA_UPDATE=no
target=${CARGO_TARGET_DIR:-$REPOSITORY/target}
failed=()

step() {
    local name=$1 start=$EPOCHREALTIME verdict=ok
    shift
    printf '── %s\n' "$name"
    # Standard error joins, so that a log keeps the order.
    "$@" 2>&1 || { verdict=FAILED && failed+=("$name"); }
    printf '── %s: %s (%s s)\n\n' "$name" "$verdict" "$(seconds_since "$start")"
}

seconds_since() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }'; }

check_format() { cargo fmt --all --check && cargo fmt --manifest-path fuzz/Cargo.toml --check; }

# What has a shell's shebang line, and what is sourced and says so.
check_shell() {
    local scripts
    mapfile -t scripts < <(git grep --untracked -lE '^#!.*\b(ba)?sh$|^# shellcheck shell=' -- ':!*.md' ':!*.rs')
    shellcheck "${scripts[@]}" && echo "${#scripts[@]} scripts"
}

check_licences() {
    local manifest
    for manifest in Cargo.toml fuzz/Cargo.toml; do
        cargo fetch --locked --manifest-path "$manifest" &&
            cargo deny --manifest-path "$manifest" --offline --locked --log-level error \
                check licenses bans sources || return
    done
}

# The exposure of each unit, from 0 to 10 in tenths; above 1.2 it fails.
check_exposure() {
    local unit
    for unit in packaging/systemd/*.service; do
        systemd-analyze security --offline=true --threshold=12 --no-pager "$unit" |
            grep 'Overall exposure' || return 1
    done
}

check_clippy() { cargo clippy --workspace --all-targets --locked -- -D warnings; }

# Tests and binaries at once, so that both are built with the same features.
build() { cargo build --workspace --bins --tests --locked; }

check_generated() { "$target/debug/xtask" gen --check; }

# No test may pass by not running: none is ignored, and those on real libvirt
# and QEMU are there. They fail, not skip, where they can't start a host.
check_all_run() {
    local tests ignored real
    tests=$(cargo nextest list --workspace --locked --message-format json --cargo-quiet |
        jq -r '."rust-suites"[] | .["binary-id"] as $binary
            | .testcases | to_entries[] | "\(.value.ignored) \($binary)::\(.key)"') || return
    ignored=$(sed -n 's/^true //p' <<<"$tests")
    real=$(grep -c ' hv-e2e::it::' <<<"$tests" || true)
    [[ -z $ignored ]] || { echo "these tests are ignored:" && echo "$ignored" && return 1; }
    ((real > 0)) || { echo "no test runs on real libvirt and QEMU" && return 1; }
    echo "$(wc -l <<<"$tests") tests, none ignored, $real of them on real libvirt and QEMU"
}

run_tests() { cargo nextest run --workspace --locked --profile ci; }

# Each target for a short time, from its inputs in the repository.
fuzz_parsers() { scripts/fuzz.sh "$([[ -n ${HV_LONG:-} ]] && echo 900 || echo 10)"; }

# What still runs now was left by a test.
check_leftovers() {
    local left
    left=$(running_here)
    end_leftovers
    [[ -z $left ]] || { echo "left running by a test, and ended now:" && echo "$left" && return 1; }
    echo "nothing was left running"
}

# Prints `PID COMMAND` of what this run started and is still there: hosts of our
# group, and programs of this clone's target folder that are our descendants' orphans.
running_here() {
    local process
    scripts/host.sh list "$HOST_GROUP"
    for process in /proc/[0-9]*; do
        # A program that was removed or rebuilt while it ran reads `… (deleted)`.
        [[ $(readlink "$process/exe" 2>/dev/null) == "$target"/* ]] || continue
        tr '\0' '\n' <"$process/environ" 2>/dev/null | grep -qx "HOST_GROUP=$HOST_GROUP" || continue
        printf '%s %s\n' "${process#/proc/}" "$(tr '\0' ' ' <"$process/cmdline" 2>/dev/null)"
    done
}

end_leftovers() {
    local pid
    running_here | while read -r pid _; do
        as_root kill -KILL "$pid" 2>/dev/null || true
    done
    scripts/host.sh sweep "$HOST_GROUP"
}

start=$EPOCHREALTIME
trap end_leftovers EXIT
step format check_format
step shellcheck check_shell
step 'licence headers' scripts/spdx.sh
step dependencies scripts/dependencies.sh
step 'licences, bans, sources' check_licences
step 'exposure of the units' check_exposure
step clippy check_clippy
step build build
step 'generated files' check_generated
step promises scripts/promises.sh
step 'no test left out' check_all_run
if [[ $kind == test ]]; then
    step 'demo guest' scripts/guest.sh
    step tests run_tests
    step fuzzing fuzz_parsers
    step tour scripts/tour.sh
    step 'docs/install.md under systemd' scripts/installed.sh
    step leftovers check_leftovers
fi

if ((${#failed[@]})); then
    printf 'FAILED after %s s: %s\n' "$(seconds_since "$start")" "$(printf '%s, ' "${failed[@]}" | sed 's/, $//')"
    exit 1
fi
printf 'all passed in %s s\n' "$(seconds_since "$start")"
