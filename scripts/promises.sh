#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Fails for each promise of docs/promises.md that no existing test keeps.
#
# A promise is a list item that ends with the tests that keep it, in backticks:
#   - A VM made with virsh is listed within a second. `hvd::it::adopt::lists_a_foreign_vm`
# A test is written as nextest lists it, with :: between: `crate::module::name`,
# or `crate::it::module::name` for an integration test. `FILE:WORD` stands for a
# script that has a function or a step of that name.
set -euo pipefail
. "$(dirname "$0")/prelude.sh"
cd "$REPOSITORY"

readonly PROMISES=docs/promises.md

list_tests() {
    cargo nextest list --workspace --message-format json --cargo-quiet |
        jq -r '."rust-suites"[] | .["binary-id"] as $binary
            | .testcases | to_entries[] | select(.value.ignored | not) | "\($binary)::\(.key)"'
}

# Joins continuation lines, so that each promise is one line.
list_promises() {
    awk '/^- / { if (item) print item; item = $0; next }
         item && /^ +[^ ]/ { sub(/^ +/, " "); item = item $0; next }
         { if (item) print item; item = "" }
         END { if (item) print item }' "$PROMISES"
}

kept_by() {
    local name=$1 file word
    grep -qxF -- "$name" <<<"$tests" && return
    file=${name%%:*} word=${name#*:}
    [[ $name == *[!:]:[!:]* && -f $file ]] && grep -qwF -- "$word" "$file"
}

[[ -f $PROMISES ]] || fail "$PROMISES is missing"
tests=$(list_tests)
count=0 faults=0
while read -r promise; do
    count=$((count + 1))
    # shellcheck disable=SC2016 # the backticks are what is looked for
    names=$(grep -oE '`[^` ]+:[^` ]+`' <<<"$promise" | tr -d '`' || true)
    if [[ -z $names ]]; then
        say "names no test: $promise"
        faults=$((faults + 1))
    fi
    for name in $names; do
        kept_by "$name" && continue
        say "no such test: $name, in: $promise"
        faults=$((faults + 1))
    done
done < <(list_promises)
((count > 0)) || fail "$PROMISES has no promise"
((faults == 0)) || fail "$faults faults in the $count promises of $PROMISES"
say "$count promises, each with its test"
