#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Fuzzes each parser of bytes that others send, guided by coverage.
#
# Usage: scripts/fuzz.sh [SECONDS] [TARGET...]
# Each target runs for so many seconds (15), as many at once as there are CPUs.
# It starts from fuzz/corpus/TARGET and keeps what it finds in .cache/fuzz, so
# that the next run goes on from there. FUZZ_JOBS=1 runs one at a time.
set -euo pipefail
. "$(dirname "$0")/prelude.sh"
cd "$REPOSITORY"

readonly TRIPLE=x86_64-unknown-linux-gnu
# The longest input: what makes a parser do something else is short.
readonly LONGEST=8192
# The flags that cargo-fuzz sets where it is told to use no sanitizer; stable Rust has them, too.
readonly FLAGS=(
    --cfg fuzzing
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0
    -Ccodegen-units=1
)
readonly FOUND=$REPOSITORY/.cache/fuzz
export CARGO_TARGET_DIR=${FUZZ_TARGET_DIR:-${CARGO_TARGET_DIR:-$REPOSITORY/target}/fuzz}

seconds=15
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
fi

list_targets() { basename --suffix=.rs --multiple fuzz/fuzz_targets/*.rs; }

build() {
    local binaries=("${targets[@]/#/--bin=}")
    RUSTFLAGS="${FLAGS[*]}" cargo build --release --locked --manifest-path fuzz/Cargo.toml \
        --target "$TRIPLE" "${binaries[@]}"
}

# Prints what one target came to, in one line; fails with the input that breaks it.
fuzz() {
    local target=$1 log=$FOUND/$1.log status=0
    mkdir -p "$FOUND/corpus/$target" "$FOUND/artifacts/$target"
    "$CARGO_TARGET_DIR/$TRIPLE/release/$target" "$FOUND/corpus/$target" "fuzz/corpus/$target" \
        -max_len=$LONGEST -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$FOUND/artifacts/$target/" >"$log" 2>&1 </dev/null || status=$?
    if ((status)); then
        tail -n 40 "$log"
        reproduce "$target" "$log"
        return 1
    fi
    awk -v target="$target" '
        / cov: / { for (i = 1; i < NF; i++) { if ($i == "cov:") cov = $(i + 1); if ($i == "ft:") features = $(i + 1) } }
        /^stat::number_of_executed_units:/ { runs = $2 }
        END { printf "%-15s %9d runs, coverage %d, features %d\n", target, runs, cov, features }' "$log"
}

reproduce() {
    local target=$1 artifact
    artifact=$(sed -n 's/.*Test unit written to //p' "$2" | tail -n1)
    echo "$target FAILED; its log: $2"
    [[ -n $artifact ]] || return 0
    echo "the input: $artifact"
    echo "again: $CARGO_TARGET_DIR/$TRIPLE/release/$target $artifact"
}

targets=("$@")
(($#)) || mapfile -t targets < <(list_targets)
for target in "${targets[@]}"; do
    [[ -f fuzz/fuzz_targets/$target.rs ]] || fail "no such target: $target (there are $(list_targets | xargs))"
done
mkdir -p "$FOUND"
build

failed=0
for target in "${targets[@]}"; do
    while (($(jobs -pr | wc -l) >= ${FUZZ_JOBS:-$(nproc)})); do
        wait -n || failed=1
    done
    fuzz "$target" &
done
while [[ -n $(jobs -pr) ]]; do
    wait -n || failed=1
done
exit "$failed"
