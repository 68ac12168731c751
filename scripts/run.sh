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
#
# hvd and hv-broker run as two users that no file knows, without any right of
# root's; the broker has no network, and a private libvirt is open to it alone.
# On the machine's own libvirt, which decides itself whom it serves, the broker
# is root. In a folder that other users can't enter, hvd is whoever runs this.
set -euo pipefail
# Every child in a process group of its own: Ctrl-C reaches this script alone,
# which then stops them in order.
set -m
. "$(dirname "$0")/prelude.sh"
cd "$REPOSITORY"

# HV_RUN: another folder than .run, for a run beside it.
readonly RUN=${HV_RUN:-$REPOSITORY/.run} VM=demo IMAGE=demo
readonly AGENT_SECONDS=120 START_SECONDS=60
# Of a range that systemd leaves to nobody.
readonly HVD_USER=60901 BROKER_USER=60902
binaries=${CARGO_TARGET_DIR:-$REPOSITORY/target}/debug
host_pid='' broker_pid='' hvd_pid='' vm_started='' listen='' stopping='' refusals=''
hvd_words=() broker_words=()
id=$(printf '%s' "$RUN" | sha256sum | cut -c1-8)
policy=/run/hyper-nixos-dev/policy-$id.toml broker_config=/run/hyper-nixos-dev/broker-$id.toml

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
    [[ ! -e $policy ]] || as_root rm -f "$policy" "$broker_config"
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
        broker_words=()
        return
    fi
    if ((${#broker_words[@]})); then
        local name=hv-broker
        export HOST_SOCKET_GROUP=$BROKER_USER
        # libvirt turns away whom its host does not know.
        export HOST_PASSWD=$name:x:$BROKER_USER:$BROKER_USER::/nonexistent:/usr/sbin/nologin
        export HOST_GROUPS=$name:x:$BROKER_USER:
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
    refusals=$(sed -n "s/^REFUSALS=\(.*\)/refusals = '\1'/p" "$RUN/host.env")
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
    as_root install -m 644 /dev/stdin "$broker_config" <<-END
	socket = "$sockets/broker/broker.sock"
	libvirt_uri = "$libvirt_uri"
	policy = "$policy"
	allow_users = [$hvd_user]
	socket_group = $hvd_group
	$refusals
	END
    cat >"$RUN/hvd.toml" <<-END
	state_dir = "$RUN/hvd"
	socket = "$sockets/api/hvd.sock"
	broker_socket = "$sockets/broker/broker.sock"
	END
    # In a container nobody may listen to what goes to the system's log.
    [[ -S /dev/log ]] || printf '\n[audit]\nsyslog = "none"\n' >>"$RUN/hvd.toml"
    # Root needs no group to open it, and no grant.
    if ((EUID != 0)); then
        sed -i "2a socket_group = \"$(id -gn)\"" "$RUN/hvd.toml"
        cat >>"$RUN/hvd.toml" <<-END

	[[access.grants]]
	name = "you"
	to = "user:$(id -un)"
	role = "admin"
	END
    fi
    [[ -z $listen ]] || printf '\n[listen]\naddress = "%s"\n' "$listen" >>"$RUN/hvd.toml"
}

# A socket's path has 107 bytes at most; a deep clone gets a short link.
place_sockets() {
    sockets=$RUN
    if ((${#RUN} > 90)); then
        sockets=$(mktemp -d /tmp/hyper-nixos-XXXXXX)/run
        chmod 711 "${sockets%/run}"
        ln -s "$RUN" "$sockets"
    fi
    export HV_SOCKET=$sockets/api/hvd.sock
}

# Who the daemons are, and the words that make them that.
choose_users() {
    local bare=(--no-new-privs --inh-caps=-all --bounding-set=-all) groups kvm=0
    [[ ! -c /dev/kvm ]] || kvm=$(stat -c %g /dev/kvm)
    hvd_user=$(id -u) hvd_group=$(id -g)
    if reachable "$RUN" && reachable "$binaries"; then
        hvd_user=$HVD_USER hvd_group=$HVD_USER
        # The group that its socket is for; to root it is open anyway.
        groups=(--clear-groups)
        ((EUID == 0)) || groups=(--groups "$(id -g)")
        hvd_words=(setpriv "--reuid=$HVD_USER" "--regid=$HVD_USER" "${groups[@]}" "${bare[@]}")
        groups=(--groups "$HVD_USER")
        ((kvm == 0)) || groups=(--groups "$HVD_USER,$kvm")
        broker_words=(unshare --net setpriv "--reuid=$BROKER_USER" "--regid=$BROKER_USER" "${groups[@]}" "${bare[@]}")
    else
        say "hvd runs as you and the broker as root: other users can't enter $REPOSITORY"
    fi
}

# Can a user without rights walk to this folder?
reachable() {
    local path=$1
    while [[ $path != / ]]; do
        [[ $(stat -c %A "$path") == *[xt] ]] || return 1
        path=$(dirname "$path")
    done
}

# A folder for each: no daemon can put something in the other's place.
make_folders() {
    local broker_user=$BROKER_USER
    [[ ${broker_words[*]} == *--reuid* ]] || broker_user=0
    as_root install -d -m 700 -o "$hvd_user" -g "$hvd_group" "$RUN/hvd"
    as_root chown -R "$hvd_user:$hvd_group" "$RUN/hvd"
    as_root install -d -m 755 -o "$hvd_user" -g "$hvd_group" "$RUN/api"
    as_root install -d -m 755 -o "$broker_user" -g "$broker_user" "$RUN/broker"
}

# In the background, so that `exec` replaces a subshell.
start_daemon() {
    local name=$1
    shift
    exec "$@" <"$RUN/tie" >"$RUN/log/$name.log" 2>&1 8>&- 9>&-
}

start_daemons() {
    rm -f "$RUN"/log/stop.log
    start_daemon broker "${root[@]}" scripts/tied.sh "${broker_words[@]}" "$binaries/hv-broker" --config "$broker_config" &
    broker_pid=$!
    start_daemon hvd ${hvd_words:+"${root[@]}"} scripts/tied.sh "${hvd_words[@]}" "$binaries/hvd" --config "$RUN/hvd.toml" &
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
    [[ ! -e $policy ]] || as_root rm -f "$policy" "$broker_config"
    rm -f "$RUN"/{tie,host.env}
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
    choose_users
    find_host
    make_folders
    write_configuration
    start_daemons
    start_vm
    announce
    # Whichever ends first ends the run.
    wait -n "$hvd_pid" "$broker_pid" ${host_pid:+"$host_pid"} || true
    check_daemons
}

main "$@"
