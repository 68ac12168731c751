#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# `./dev bench`: measures the product beside plain libvirt, on a private host of its own.
#
# Usage: bench/run.sh [MEASUREMENT]… [--vms N] [--json FILE]   see bench/run.sh --help
#        bench/run.sh pieces [NAME]                            single pieces, with criterion
#
# Everything it starts ends with it, and everything it keeps lies in one folder,
# which goes with it; if it is killed, the next run removes that.
set -euo pipefail
# Children in process groups of their own: Ctrl-C reaches this script alone,
# which then ends them in order.
set -m
. "$(dirname "$0")/../scripts/prelude.sh"
started_in=$PWD
cd "$REPOSITORY"

# QEMU's user has to reach it, and a socket's path has 107 bytes at most.
readonly FOLDERS=/tmp/hyper-nixos-bench
bench_pid='' folder='' root=()

# Purges the hosts in a folder and removes it.
remove() {
    local host
    while read -r host; do
        scripts/host.sh purge "$host" >&2 || true
    done < <(find "$1" -maxdepth 3 -name private-host -printf '%h\n' 2>/dev/null)
    as_root rm -rf "$1"
}

# Whoever runs holds the lock in its folder, and so do its children.
sweep() {
    local other
    for other in "$FOLDERS"-*/; do
        [[ -e $other/lock ]] || continue
        (flock --nonblock 9 && remove "${other%/}") 9<"$other/lock" || true
    done
}

end() {
    local status=$?
    trap '' INT TERM HUP
    if [[ -n $bench_pid ]]; then
        as_root kill -TERM "$bench_pid" 2>/dev/null || true
        wait "$bench_pid" 2>/dev/null || true
    fi
    [[ -z $folder ]] || remove "$folder"
    exit "$status"
}

main() {
    local target=${CARGO_TARGET_DIR:-$REPOSITORY/target}
    [[ ${1:-} != -- ]] || shift
    if [[ ${1:-} == pieces ]]; then
        exec cargo bench --quiet --locked -p hv-bench --bench pieces -- "${@:2}"
    fi
    say "building with optimisation"
    cargo build --release --workspace --bins --locked --quiet
    # Built by its owner, before root looks for it.
    scripts/guest.sh >/dev/null
    ((EUID == 0)) || { root=(sudo --) && sudo -v; }
    trap end EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    sweep
    folder=$(mktemp -d "$FOLDERS-XXXXXX")
    chmod 711 "$folder"
    exec 9>"$folder/lock"
    flock 9
    # A file that is named without a folder belongs where the command was given.
    (
        cd "$started_in"
        exec "${root[@]}" env TMPDIR="$folder" setpriv --pdeathsig TERM "$target/release/hv-bench" "$@" </dev/null
    ) &
    bench_pid=$!
    wait "$bench_pid"
    bench_pid=''
}

main "$@"
