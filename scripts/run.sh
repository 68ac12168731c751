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
host_pid='' broker_pid='' hvd_pid='' vm_started='' listen='' stopping='' refusals=''
policy=/run/hyper-nixos-dev/policy-$(printf '%s' "$RUN" | sha256sum | cut -c1-8).toml

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
    if ! flock --nonblock 9; then
        kill -TERM "$(<"$RUN/pid")" 2>/dev/null || true
        flock --timeout 60 9 || fail "the run with process $(<"$RUN/pid") does not end"
    fi
    # One that was killed left it.
    [[ ! -e $policy ]] || as_root rm -f "$policy"
}

be_alone() {
    mkdir -p "$RUN/log"
    chmod o+x "$RUN"
    exec 9>>"$RUN/lock"
    flock --nonblock 9 || fail "./dev run already runs here, as process $(<"$RUN/pid")"
    echo $$ >"$RUN/pid"
    rm -f "$RUN/ready" "$RUN/tie"
    # The kernel closes it however this script ends; what reads from it then ends, too.
    mkfifo "$RUN/tie"
    exec 8<>"$RUN/tie"
}

# Runs a command so that a signal to this script is handled at once, not after it.
await() {
    "$@" 8>&- 9>&- &
    wait $!
}

# The system's libvirt, if it answers; else a private one.
find_host() {
    if as_root timeout 2 virsh --quiet --connect qemu:///system version >/dev/null 2>&1 </dev/null; then
        libvirt_uri=qemu:///system
        pools=/var/lib/hyper-nixos-dev/system
        as_root install -d -m 711 /var/lib/hyper-nixos-dev "$pools"
        say "host: this machine's libvirt; disks in $pools"
        return
    fi
    HOST_HOOK=$binaries/hv-guard scripts/host.sh hold "$RUN/host" <"$RUN/tie" >"$RUN/host.env" 8>&- 9>&- &
    host_pid=$!
    # PID is the last line that it prints.
    until grep -qs ^PID= "$RUN/host.env"; do
        running "$host_pid" || fail "the private host did not start; see above"
        sleep 0.05
    done
    libvirt_uri=$(sed -n 's/^LIBVIRT_URI=//p' "$RUN/host.env")
    pools=$(sed -n 's/^POOL_DIR=//p' "$RUN/host.env")
    refusals=$(sed -n 's/^REFUSALS=//p' "$RUN/host.env")
    say "host: a private libvirt; its state is in ${RUN#"$REPOSITORY/"}/host"
}

write_configuration() {
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
    # The private host's hook has it too: nothing runs there that it does not allow.
    [[ -z $host_pid ]] || scripts/host.sh policy "$RUN/host" <"$policy"
    cat >"$RUN/broker.toml" <<-END
	socket = "$sockets/broker.sock"
	libvirt_uri = "$libvirt_uri"
	policy = "$policy"
	allow_users = ["$(id -un)"]
	END
    [[ -z $refusals ]] || echo "refusals = \"$refusals\"" >>"$RUN/broker.toml"
    cat >"$RUN/hvd.toml" <<-END
	state_dir = "$RUN/hvd"
	socket = "$sockets/hvd.sock"
	socket_group = "$(id -gn)"
	broker_socket = "$sockets/broker.sock"
	END
    # In a container nobody may listen to what goes to the system's log.
    [[ -S /dev/log ]] || printf '\n[audit]\nsyslog = "none"\n' >>"$RUN/hvd.toml"
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

# In the background, so that `exec` replaces a subshell.
start_daemon() {
    local name=$1
    shift
    exec "$@" <"$RUN/tie" >"$RUN/log/$name.log" 2>&1 8>&- 9>&-
}

start_daemons() {
    rm -f "$RUN"/log/stop.log
    start_daemon broker "${root[@]}" scripts/tied.sh "$binaries/hv-broker" --config "$RUN/broker.toml" &
    broker_pid=$!
    start_daemon hvd scripts/tied.sh "$binaries/hvd" --config "$RUN/hvd.toml" &
    hvd_pid=$!
    wait_until "$START_SECONDS" "hvd to reach the host" host_is_live
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

# A signal would not tell: sudo's processes are root's.
running() { [[ -d /proc/$1 ]]; }

check_daemons() {
    check_daemon broker "$broker_pid"
    check_daemon hvd "$hvd_pid"
    [[ -z $host_pid ]] || running "$host_pid" || fail "the private host ended"
}

check_daemon() {
    running "$2" && return
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

host_is_live() { hv host show --json | jq -e .freshness.live; }

agent_connected() { hv vm show "$VM" --json | jq -e '.agent == "connected"'; }

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
    end "$host_pid"
    # What is left are commands that a signal cut short.
    jobs -p | while read -r pid; do kill -TERM "$pid" 2>/dev/null || true; done
    [[ ${sockets:-$RUN} == "$RUN" ]] || rm -rf "${sockets%/run}"
    [[ ! -e $policy ]] || as_root rm -f "$policy"
    rm -f "$RUN"/{*.sock,tie,host.env}
    [[ -z $hvd_pid ]] || say "stopped; nothing is left running" 2>&"$terminal"
    exit "$status"
}

# Asks a daemon to end, and after ten seconds makes it.
end() {
    local pid=$1 deadline=$((SECONDS + 10))
    [[ -n $pid ]] || return 0
    as_root kill -TERM "$pid" 2>/dev/null || true
    while running "$pid"; do
        ((SECONDS < deadline)) || as_root kill -KILL "$pid" 2>/dev/null || true
        sleep 0.05
    done
}

main() {
    parse_options "$@"
    # Now, while the terminal is ours to ask for a password.
    as_root true
    root=()
    ((EUID == 0)) || root=(sudo --)
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
