#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# `./dev run`: a host to play on, the daemons, and a demo VM; all of it ends with this script.
#
# Usage: scripts/run.sh [--listen 127.0.0.1:PORT]
#        scripts/run.sh --stop
#
# Everything it keeps is under .run: disks and definitions stay for the next
# run, processes do not. SIGINT and SIGTERM stop it; when it is killed, what it
# started ends, too. Once the VM's agent answers, .run/ready holds HV_SOCKET,
# LIBVIRT_URI and PID, one KEY=VALUE a line; it is gone when the run is over.
set -euo pipefail
# Every child in a process group of its own: Ctrl-C reaches this script alone,
# which then stops them in order.
set -m
. "$(dirname "$0")/prelude.sh"
cd "$REPOSITORY"

# HV_RUN: another folder than .run, for a run beside it.
readonly RUN=${HV_RUN:-$REPOSITORY/.run} VM=demo IMAGE=demo
readonly AGENT_SECONDS=120 START_SECONDS=60
binaries=${CARGO_TARGET_DIR:-$REPOSITORY/target}/debug
host_pid='' broker_pid='' hvd_pid='' vm_started='' listen='' stopping='' policy=''

parse_options() {
    while (($#)); do
        case $1 in
        --stop)
            stop_other
            exit
            ;;
        --listen)
            [[ $# -ge 2 ]] || fail "--listen needs an address, such as 127.0.0.1:8080"
            listen=$2
            shift 2
            ;;
        *) fail "no such option: $1 (there are --listen ADDRESS and --stop)" ;;
        esac
    done
}

# Ends a run of this clone, if there is one, and waits until it is over.
stop_other() {
    [[ -e $RUN/lock ]] || return 0
    exec 9<"$RUN/lock"
    flock --nonblock 9 && return
    kill -TERM "$(<"$RUN/pid")" 2>/dev/null || true
    flock --timeout 60 9 || fail "the run with process $(<"$RUN/pid") does not end"
}

be_alone() {
    mkdir -p "$RUN/log"
    chmod o+x "$RUN"
    exec 9>>"$RUN/lock"
    flock --nonblock 9 || fail "./dev run already runs here, as process $(<"$RUN/pid")"
    echo $$ >"$RUN/pid"
    rm -f "$RUN/ready"
}

# Runs a command so that a signal to this script is handled at once, not after it.
await() {
    "$@" 9>&- &
    wait $!
}

# The system's libvirt, if it answers; else a private one.
find_host() {
    local line
    if as_root timeout 2 virsh --quiet --connect qemu:///system version >/dev/null 2>&1 </dev/null; then
        libvirt_uri=qemu:///system
        pools=/var/lib/hyper-nixos-dev/system
        as_root install -d -m 711 /var/lib/hyper-nixos-dev "$pools"
        say "host: this machine's libvirt; disks in $pools"
        return
    fi
    coproc HOST { exec scripts/host.sh hold "$RUN/host" 9>&-; }
    # shellcheck disable=SC2153 # coproc sets it
    host_pid=$HOST_PID
    # bash forgets the array when the process ends, so the descriptors move.
    # shellcheck disable=SC1083,SC2093 # it takes {HOST[0]} for a word
    exec {host_out}<&"${HOST[0]}" {host_in}>&"${HOST[1]}" {HOST[0]}<&- {HOST[1]}>&-
    while read -r line <&"$host_out"; do
        case $line in
        LIBVIRT_URI=*) libvirt_uri=${line#*=} ;;
        POOL_DIR=*) pools=${line#*=} ;;
        PID=*)
            say "host: a private libvirt; its state is in ${RUN#"$REPOSITORY/"}/host"
            return
            ;;
        esac
    done
    fail "the private host did not start; see above"
}

write_configuration() {
    policy=/run/hyper-nixos-dev/policy-$(printf '%s' "$RUN" | sha256sum | cut -c1-8).toml
    # The broker takes a policy only from where nobody but root can write.
    as_root install -d -m 755 "${policy%/*}"
    as_root install -m 644 /dev/stdin "$policy" <<-END
	# What the broker lets pass, whatever hvd asks for.
	networks = ["default"]

	[[pools]]
	name = "hyper-disks"
	path = "$pools/hyper-disks"
	purpose = "disks"

	[[pools]]
	name = "hyper-images"
	path = "$pools/hyper-images"
	purpose = "images"

	[limits]
	vcpus = $(nproc)
	memory = "8 GiB"
	disk = "2 TiB"
	END
    cat >"$RUN/broker.toml" <<-END
	socket = "$sockets/broker.sock"
	libvirt_uri = "$libvirt_uri"
	policy = "$policy"
	allow_users = ["$(id -un)"]
	END
    cat >"$RUN/hvd.toml" <<-END
	state_dir = "$RUN/hvd"
	socket = "$sockets/hvd.sock"
	socket_group = "$(id -gn)"
	broker_socket = "$sockets/broker.sock"
	END
    [[ -z $listen ]] || printf '\n[listen]\naddress = "%s"\n' "$listen" >>"$RUN/hvd.toml"
}

# A socket's path has 107 bytes at most; a deep clone gets a short link.
place_sockets() {
    sockets=$RUN
    if ((${#RUN} > 90)); then
        sockets=$(mktemp -d /tmp/hyper-nixos-XXXXXX)/run
        ln -s "$RUN" "$sockets"
    fi
    export HV_SOCKET=$sockets/hvd.sock
}

# If this script is killed, the kernel passes a SIGTERM on to what it started.
start_daemon() {
    local log=$RUN/log/$1.log
    shift
    # Open in a daemon, it would keep the private host alive.
    [[ -z $host_pid ]] || exec {host_in}>&- {host_out}<&-
    exec setpriv --pdeathsig TERM "$@" >>"$log" 2>&1 </dev/null 9>&-
}

start_daemons() {
    rm -f "$RUN"/log/{broker,hvd}.log
    start_daemon broker "${as_root[@]}" "$binaries/hv-broker" --config "$RUN/broker.toml" &
    broker_pid=$!
    start_daemon hvd "$binaries/hvd" --config "$RUN/hvd.toml" &
    hvd_pid=$!
    wait_until "$START_SECONDS" "hvd to answer" hv host show
}

hv() { "$binaries/hv" "$@"; }

# Polls, because what is waited for has no event that a shell could wait on.
wait_until() {
    local seconds=$1 what=$2 deadline=$((SECONDS + $1))
    shift 2
    until "$@" >/dev/null 2>&1; do
        check_daemons
        ((SECONDS < deadline)) || fail "waited $seconds s for $what; logs are in ${RUN#"$REPOSITORY/"}/log"
        sleep 0.1
    done
}

check_daemons() {
    check_daemon broker "$broker_pid"
    check_daemon hvd "$hvd_pid"
    [[ -z $host_pid ]] || kill -0 "$host_pid" 2>/dev/null || fail "the private host ended"
}

check_daemon() {
    kill -0 "$2" 2>/dev/null && return
    tail -n 20 "$RUN/log/$1.log" >&2
    fail "$1 ended; the end of $RUN/log/$1.log is above"
}

start_vm() {
    local image
    image=$(scripts/guest.sh | sed -n 's/^DEMO_IMAGE=//p')
    if ! hv vm show "$VM" >/dev/null 2>&1; then
        hv image list --json | jq -e --arg name "$IMAGE" 'any(.. | objects; .name? == $name)' >/dev/null ||
            await hv image add "$IMAGE" "$image"
        await hv vm create "$VM" --image "$IMAGE" --memory 256MiB
    fi
    vm_started=1
    await hv vm start "$VM"
    wait_until "$AGENT_SECONDS" "the demo VM's agent" agent_connected
}

agent_connected() { hv vm show "$VM" --json | jq -e '.agent.connected'; }

announce() {
    cat <<-END

	The demo VM runs, and its agent answers.

	  API      unix socket $HV_SOCKET${listen:+, and http://$listen}
	  libvirt  $libvirt_uri

	In another terminal, in this folder:

	  export HV_SOCKET=$HV_SOCKET PATH=$binaries:\$PATH
	  hv vm list            what there is
	  hv vm console demo    a shell in the VM
	  hv vm stop demo       shut it down

	Ctrl-C here stops the VM and everything else. The next run finds the VM again.
	END
    printf 'HV_SOCKET=%s\nLIBVIRT_URI=%s\nPID=%s\n' "$HV_SOCKET" "$libvirt_uri" $$ >"$RUN/ready.partial"
    mv "$RUN/ready.partial" "$RUN/ready"
    echo ready
}

# In the order that lets each still use the next: VM, hvd, broker, host.
stop_all() {
    local status=$? pid
    [[ -z $stopping ]] || return
    stopping=1
    trap '' INT TERM HUP
    rm -f "$RUN/ready"
    [[ -z $hvd_pid ]] || say "stopping"
    # bash reports each job that a signal ended; nobody at the terminal asked.
    exec {terminal}>&2 2>>"$RUN/log/stop.log"
    [[ -z $vm_started ]] || timeout 20 "$binaries/hv" vm stop "$VM" >&2 ||
        timeout 10 "$binaries/hv" vm kill "$VM" --yes >&2 || true
    end "$hvd_pid"
    end "$broker_pid"
    if [[ -n $host_pid ]]; then
        exec {host_in}>&-
        wait "$host_pid" 2>/dev/null || true
    fi
    # What is left are commands that a signal cut short.
    jobs -p | while read -r pid; do kill -TERM "$pid" 2>/dev/null || true; done
    [[ ${sockets:-$RUN} == "$RUN" ]] || rm -rf "${sockets%/run}"
    [[ -z $policy ]] || as_root rm -f "$policy"
    rm -f "$RUN"/*.sock
    [[ -z $hvd_pid ]] || say "stopped; nothing is left running" 2>&"$terminal"
    exit "$status"
}

# Asks a daemon to end, and after ten seconds makes it.
end() {
    local pid=$1 deadline=$((SECONDS + 10))
    [[ -n $pid ]] || return 0
    as_root kill -TERM "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null; do
        ((SECONDS < deadline)) || as_root kill -KILL "$pid" 2>/dev/null || true
        sleep 0.05
    done
}

main() {
    parse_options "$@"
    as_root=()
    ((EUID == 0)) || { as_root=(sudo --) && sudo -v; }
    be_alone
    trap stop_all EXIT
    trap 'exit 0' INT TERM HUP
    say "building"
    await cargo build --workspace --bins --locked --quiet
    place_sockets
    find_host
    write_configuration
    start_daemons
    start_vm
    announce
    # Whichever ends first ends the run.
    wait -n "$hvd_pid" "$broker_pid" ${host_pid:+"$host_pid"} || true
    check_daemons
}

main "$@"
