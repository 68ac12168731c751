#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs the README's tour as a newcomer would, and compares what is printed with what it says.
#
# The tour is each ```console block of the README's section whose heading has
# the word "tour": lines after `$ ` are commands, the others what they print.
# Numbers, ids and the width of columns may differ; `…` stands for anything.
# The commands run in one shell, beside a `./dev run` with state of its own.
# Its own lines, `./dev run` and `export HV_SOCKET=…`, are taken as done.
set -euo pipefail
. "$(dirname "$0")/prelude.sh"
cd "$REPOSITORY"

work=$(mktemp -d)
chmod 755 "$work"
run_pid='' faults=0 commands=0

end_run() {
    if [[ -n $run_pid ]]; then
        kill -TERM "$run_pid" 2>/dev/null || true
        wait "$run_pid" || true
    fi
    [[ ! -d $work/run/host ]] || scripts/host.sh purge "$work/run/host"
    as_root rm -rf "$work"
}

start_run() {
    HV_RUN=$work/run scripts/run.sh >"$work/run.log" 2>&1 </dev/null &
    run_pid=$!
    until [[ -e $work/run/ready ]]; do
        kill -0 "$run_pid" 2>/dev/null || { cat "$work/run.log" >&2 && fail "./dev run did not start"; }
        sleep 0.1
    done
    HV_SOCKET=$(sed -n 's/^HV_SOCKET=//p' "$work/run/ready")
    export HV_SOCKET NO_COLOR=1 COLUMNS=100
    PATH=${CARGO_TARGET_DIR:-$REPOSITORY/target}/debug:$PATH
}

# Prints the tour's blocks, each followed by a line with \f.
list_blocks() {
    awk '/^#+ / { in_tour = tolower($0) ~ /tour/ }
         /^```/ { if (inside) print "\f"; inside = !inside && in_tour && $0 == "```console"; next }
         inside' README.md
}

run_block() {
    local line command='' expected=''
    while IFS= read -r line; do
        if [[ $line == '$ '* ]]; then
            [[ -z $command ]] || run_command "$command" "$expected"
            command=${line#'$ '} expected=''
        else
            expected+=$line$'\n'
        fi
    done
    [[ -z $command ]] || run_command "$command" "$expected"
}

run_command() {
    local command=$1 expected actual
    case $command in
    './dev run' | 'export HV_SOCKET='*) return ;;
    esac
    commands=$((commands + 1))
    if ! actual=$(bash -c "$command" 2>&1 </dev/null); then
        say "the command failed: $command"
        say "$actual"
        faults=$((faults + 1))
        return
    fi
    # shellcheck disable=SC2053 # what is expected is a pattern
    [[ $(normalise <<<"$actual") == $(normalise <<<"${2%$'\n'}" | make_pattern) ]] && return
    say "the README and the product differ: $command"
    diff -u --label README --label product <(printf '%s' "$2") <(printf '%s\n' "$actual") >&2 || true
    faults=$((faults + 1))
}

normalise() {
    sed -E 's/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/ID/g
            s/([0-9a-f]{2}:){5}[0-9a-f]{2}/MAC/g
            s/[0-9]+([.:][0-9]+)*/0/g
            s/[ \t]+/ /g
            s/ $//'
}

# A line that is `…` alone stands for any number of lines, none included.
make_pattern() { sed 's/[][*?\\]/\\&/g; s/…/*/g' | sed -z 's/\n\*\(\n\|$\)/*/g'; }

trap end_run EXIT
[[ -n $(list_blocks) ]] || fail "README.md has no tour"
start_run
while IFS= read -r -d $'\f' block; do
    run_block <<<"$block"
done < <(list_blocks)
((commands > 0)) || fail "the README's tour has no command"
((faults == 0)) || fail "$faults of the tour's $commands commands are not as printed"
say "the tour's $commands commands are as printed"
