#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A private virtualization host: libvirt and all it needs in namespaces of its own.
#
# Usage: scripts/host.sh up FOLDER          start it; prints what is below; it runs until `down`
#        scripts/host.sh hold FOLDER        the same, but it ends when standard input does
#        scripts/host.sh status FOLDER      prints the same if it runs, else fails with 1
#        scripts/host.sh exec FOLDER CMD…   run a command inside
#        scripts/host.sh policy FOLDER      make standard input the policy of the hook
#        scripts/host.sh libvirtd FOLDER stop|start|kill|freeze|thaw
#        scripts/host.sh down FOLDER        stop it and its VMs; FOLDER keeps their disks and definitions
#        scripts/host.sh purge FOLDER       the same, and remove all that it kept
#        scripts/host.sh list [GROUP]       what runs, as `PID FOLDER`
#        scripts/host.sh sweep [GROUP]      remove what hosts left that were killed;
#                                           purge those of GROUP, running or not
#
# FOLDER holds the host's state. `up` and `hold` print, once libvirt answers:
#   LIBVIRT_URI     for clients outside, and inside
#   LIBVIRT_SOCKET  the socket in it
#   POOL_DIR        where storage pools go: the same path outside and inside,
#                   and QEMU's user can reach it
#   LOG_DIR         the daemons' logs
#   REFUSALS        where the hook leaves what it refused
#   PID             the host's first process
#
# A host has its own mounts, host name, processes, IPC, network and control
# groups; dbus, polkit, virtlogd, virtlockd and libvirtd; and libvirt's network
# `default`. It has no link to the machine's network. Nothing of the machine's
# libvirt is read or changed. If its first process dies, the kernel ends the
# rest; the next `up` or `sweep` removes what that leaves.
#
# HOST_LIBVIRTD_CONF and HOST_QEMU_CONF: more lines for libvirtd.conf, before its own, and qemu.conf.
# HOST_HOOK: an hv-guard, which becomes libvirt's hook there; without a policy it refuses everything.
# HOST_PASSWD and HOST_GROUPS: more lines for the host's /etc/passwd and /etc/group.
# HOST_SOCKET_GROUP: the group, by name or number, that alone reaches libvirt.
# HOST_POLKIT_RULES: a file of rules by which libvirt then judges every call; clients outside,
#   whose processes polkit can't see, are refused.
# HOST_GROUP: a word that `list` and `sweep` find the host by.
set -euo pipefail
. "$(dirname "$0")/prelude.sh"
. "$(dirname "$0")/host/cgroups.sh"

# Socket paths end at 107 bytes, so sockets are reached through this short one.
readonly RECORDS=/run/hyper-nixos-dev
# For hosts whose FOLDER is where QEMU's user can't go, such as /root.
readonly PLACES=/var/lib/hyper-nixos-dev
# In the folder of each host.
readonly MARK=private-host
# In its folder for libvirt.
readonly POLICY=host-policy.toml
readonly SELF=$REPOSITORY/scripts/host.sh

usage() {
    sed -n '/^# Usage/,/^#$/s/^# \?//p' "$SELF" >&2
    exit 2
}

# Sets the names that belong to a host's folder.
locate() {
    folder=$(cd "$1" && pwd -P)
    id=$(printf '%s' "$folder" | sha256sum | cut -c1-8)
    record=$RECORDS/$id
    if reachable "$folder"; then place=$folder; else place=$PLACES/$id; fi
}

# Makes a folder a host's, or refuses: what `up` and `purge` remove must be a host's.
claim() {
    mkdir -p "$1"
    [[ -e $1/$MARK || -z $(ls -A "$1") ]] || fail "$1 is neither empty nor a private host's folder"
    touch "$1/$MARK"
    chmod o+x "$1"
}

# Can a user without rights walk to this folder, inside too, where /run is another?
reachable() {
    local path=$1
    [[ $path/ != /run/* && $path != *[[:space:],\'\"]* ]] || return 1
    while [[ $path != / ]]; do
        [[ $(stat -c %A "$path") == *[xt] ]] || return 1
        path=$(dirname "$path")
    done
}

# One command at a time for each host.
lock() {
    [[ -n ${lock_fd:-} ]] || exec {lock_fd}>"$folder/$MARK"
    flock "$lock_fd"
}

# The number of a running host's first process; fails if there is none.
# A number alone could be another process's by now, so its start time is compared.
running_pid() {
    local pid started
    { read -r pid started <"$1/init"; } 2>/dev/null || return 1
    [[ $(start_time "$pid") == "$started" ]] && echo "$pid"
}

# Of a process that lives; one that has ended may wait to be reaped for long.
start_time() { sed -n 's/.*) //; /^[ZX]/!p' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

print_host() {
    cat <<-END
	LIBVIRT_URI=qemu:///system?socket=$record/run/libvirt/libvirt-sock
	LIBVIRT_SOCKET=$record/run/libvirt/libvirt-sock
	POOL_DIR=$place/pools
	LOG_DIR=$place/log
	REFUSALS=$record/run/hv-guard
	PID=$(running_pid "$record")
	END
}

# The folders that init mounts. What libvirt keeps stays; what a reboot would clear goes.
lay_out() {
    local uuid group=libvirt others=0777 judge=none drivers=''
    # Whoever may start this host through sudo may use it without.
    ((${SUDO_UID:-0} == 0)) || group=$(id -gn -- "$SUDO_UID")
    [[ -z ${HOST_SOCKET_GROUP:-} ]] || { group=$HOST_SOCKET_GROUP && others=0770; }
    [[ -z ${HOST_POLKIT_RULES:-} ]] || { judge=polkit && drivers='access_drivers = ["polkit"]'; }
    rm -rf "$place/run" "$place"/log/*.log "$record"
    rm -rf "$place"/etc/{files,work}
    mkdir -p "$record" "$place"/{run/{dbus,lock,libvirt},etc/{files,work},etc/libvirt/qemu/networks/autostart,lib,log,cache/qemu/capabilities,pools}
    chmod o+x "$place" "$place/run" "$place/pools"
    ln -s "$place/run" "$record/run"
    mkdir -p "$place/run$record"
    ln -s /run "$place/run$record/run"
    # Where the hook leaves what it refuses: only root writes there, and the broker's group reads.
    install -d -m 2750 -g "$group" "$place/run/hv-guard"
    printf '%s\n' "$folder" >"$record/folder"
    printf '%s\n' "$place" >"$record/place"
    printf '%s\n' "${HOST_GROUP:-}" >"$record/group"

    uuid=$(printf '%s' "$folder" | sha256sum | sed -E 's/^(.{8})(.{4})(.{3})(.{3})(.{12}).*/\1-\2-4\3-8\4-\5/')
    tr -d - <<<"$uuid" >"$place/etc/files/machine-id"
    echo "hv-$id" >"$place/etc/hostname"
    printf '127.0.0.1 localhost hv-%s\n::1 localhost\n' "$id" >"$place/etc/files/hosts"
    printf '# Written by scripts/host.sh.\n%s\n' "${HOST_QEMU_CONF:-}" >"$place/etc/libvirt/qemu.conf"
    # The rest of the host's confinement is the kernel's, not ours to load and leave.
    if grep -qs Y /sys/module/apparmor/parameters/enabled; then
        echo 'security_driver = "none"' >>"$place/etc/libvirt/qemu.conf"
    fi
    # Of two lines for one setting, libvirt takes the first.
    cat >"$place/etc/libvirt/libvirtd.conf" <<-END
	${HOST_LIBVIRTD_CONF:-}
	host_uuid = "$uuid"
	# polkit can't judge a client outside: it does not see its process.
	auth_unix_ro = "$judge"
	auth_unix_rw = "$judge"
	$drivers
	unix_sock_group = "$group"
	unix_sock_ro_perms = "$others"
	unix_sock_rw_perms = "0770"
	log_level = 3
	log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
	END
    if [[ ! -e $place/etc/libvirt/qemu/networks/default.xml ]]; then
        cp "$REPOSITORY/scripts/host/network-default.xml" "$place/etc/libvirt/qemu/networks/default.xml"
        ln -s ../default.xml "$place/etc/libvirt/qemu/networks/autostart/default.xml"
        [[ ! -d /etc/libvirt/nwfilter ]] || cp -r /etc/libvirt/nwfilter "$place/etc/libvirt/"
    fi
    install_hook
    copy_owner /var/lib/swtpm-localca "$place/swtpm-localca"
    copy_owner /etc/polkit-1 "$place/polkit-1"
    copy_owner /etc/polkit-1/rules.d "$place/polkit-1/rules.d"
    if [[ -n ${HOST_POLKIT_RULES:-} ]]; then
        install -m 644 "$HOST_POLKIT_RULES" "$place/polkit-1/rules.d/10-hyper-nixos.rules"
    else
        rm -f "$place/polkit-1/rules.d/10-hyper-nixos.rules"
    fi
    { cat /etc/passwd && printf '%s\n' "${HOST_PASSWD:-}"; } | grep . >"$place/etc/files/passwd"
    { cat /etc/group && printf '%s\n' "${HOST_GROUPS:-}"; } | grep . >"$place/etc/files/group"
    # Asking QEMU what it can do takes seconds; libvirt checks itself whether an answer is still true.
    cp -n "$REPOSITORY"/.cache/libvirt-capabilities/*.xml "$place/cache/qemu/capabilities/" 2>/dev/null || true
}

# Where root's own paths lead to it: the folder outside may be a user's.
install_hook() {
    local hooks=$place/etc/libvirt/hooks
    rm -rf "$hooks"
    [[ -n ${HOST_HOOK:-} ]] || return 0
    mkdir -p "$hooks/qemu.d"
    printf '#!/bin/sh\nexec "%s" --policy "/etc/libvirt/%s" --hook "$@"\n' "$(realpath "$HOST_HOOK")" "$POLICY" \
        >"$hooks/qemu.d/hyper-nixos"
    chmod 755 "$hooks/qemu.d/hyper-nixos"
}

copy_owner() {
    [[ -d $1 ]] || return 0
    mkdir -p "$2"
    chown --reference="$1" "$2"
    chmod --reference="$1" "$2"
}

keep_capabilities() {
    mkdir -p "$REPOSITORY/.cache/libvirt-capabilities"
    cp -u "$1"/cache/qemu/capabilities/*.xml "$REPOSITORY/.cache/libvirt-capabilities/" 2>/dev/null || true
}

# Starts the host and returns when it is ready. $1 is what becomes of it if this
# script is killed: `survive` or `die`.
start() {
    local line='' tie=()
    end_host
    lay_out
    make_cgroups "hyper-nixos-dev-$id" >"$record/cgroups"
    [[ $1 == survive ]] || tie=(setpriv --pdeathsig KILL)
    # The pipe tells at once whether the host is ready or dead.
    exec {ready_fd}< <(
        exec 3>&1 >"$place/log/init.log" 2>&1 </dev/null
        join_cgroups "$BASHPID" "$record/cgroups"
        exec "${tie[@]}" setsid unshare --mount --uts --ipc --net --pid --cgroup --fork --kill-child \
            "$REPOSITORY/scripts/host/init" "$place" "$record" {lock_fd}>&-
    )
    read -r line <&"$ready_fd" || true
    exec {ready_fd}<&-
    if [[ $line != ready ]]; then
        say "error: the private host did not start; the end of its logs in $place/log:"
        tail -n 15 "$place/log/init.log" "$place/log/libvirtd.log" >&2 2>/dev/null || true
        end_host
        exit 1
    fi
    print_host
}

# A host that was cut short may have no recorded process yet; its groups know.
kill_members() {
    local group pid
    while read -r _ _ group; do
        find "$group" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u |
            while read -r pid; do kill -KILL "$pid" 2>/dev/null || true; done
    done <"$1"
}

# Ends a host that runs, politely and then not, and removes what it leaves outside its folder.
end_host() { end_recorded "$record"; }

end_recorded() {
    local record=$1 pid deadline place
    [[ -d $record ]] || return 0
    if pid=$(running_pid "$record"); then
        kill -TERM "$pid" 2>/dev/null || true
        deadline=$((SECONDS + 10))
        while running_pid "$record" >/dev/null; do
            ((SECONDS < deadline)) || kill -KILL "$pid" 2>/dev/null || true
            sleep 0.05
        done
    fi
    { read -r place <"$record/place"; } 2>/dev/null && keep_capabilities "$place"
    [[ ! -e $record/cgroups ]] || { kill_members "$record/cgroups"; remove_cgroups "$record/cgroups"; }
    rm -rf "$record"
}

purge() {
    end_host
    rm -rf "${PLACES:?}/$id" "$folder"
    rmdir "$PLACES" "$RECORDS" 2>/dev/null || true
}

list() {
    local record pid folder
    for record in "$RECORDS"/*/; do
        record=${record%/}
        in_group "$record" "${1:-}" || continue
        pid=$(running_pid "$record") || continue
        read -r folder <"$record/folder"
        echo "$pid $folder"
    done
}

# No group is asked for: every host is in it.
in_group() { [[ -z $2 || $2 == "$(cat "$1/group" 2>/dev/null)" ]]; }

sweep() {
    local wanted=${1:-}
    for record in "$RECORDS"/*/; do
        record=${record%/}
        id=${record##*/}
        { read -r folder <"$record/folder"; } 2>/dev/null || continue
        if [[ -n $wanted ]]; then
            in_group "$record" "$wanted" && purge
        elif running_pid "$record" >/dev/null; then
            continue
        elif [[ ! -d $folder ]]; then
            purge
        else
            # A host that starts holds its lock, and has no process yet.
            (flock --nonblock 9 && end_recorded "$record") 9>"$folder/$MARK" || continue
        fi
    done
    rmdir "$PLACES" "$RECORDS" 2>/dev/null || true
}

enter() {
    local pid
    pid=$(running_pid "$record") || fail "no private host runs in $folder"
    join_cgroups "$BASHPID" "$record/cgroups" "$(daemon_group)"
    exec nsenter --target "$pid" --mount --uts --ipc --net --pid --cgroup -- "$@"
}

daemon_group() { if grep -qs ^cgroup2 "$record/cgroups"; then echo daemons; fi; }

signal_libvirtd() { (enter pkill "-$1" -x libvirtd) || fail "libvirtd does not run in $folder"; }

control_libvirtd() {
    case $1 in
    start) (enter libvirtd --daemon) ;;
    freeze) signal_libvirtd STOP ;;
    thaw) signal_libvirtd CONT ;;
    stop | kill)
        if [[ $1 == stop ]]; then signal_libvirtd TERM; else signal_libvirtd KILL; fi
        while (enter pgrep -x libvirtd) >/dev/null; do sleep 0.02; done
        ;;
    *) usage ;;
    esac
}

main() {
    local verb=${1:-}
    ((EUID == 0)) || exec sudo --preserve-env="$(printf "%s," HOST_{LIBVIRTD_CONF,QEMU_CONF,HOOK,PASSWD,GROUPS,SOCKET_GROUP,POLKIT_RULES,GROUP})" -- "$SELF" "$@"
    case $verb in
    list | sweep)
        "$verb" "${2:-}"
        return
        ;;
    up | hold | down | purge | status | exec | policy | libvirtd) [[ $# -ge 2 ]] || usage ;;
    *) usage ;;
    esac
    [[ $verb != up && $verb != hold ]] || claim "$2"
    [[ -e $2/$MARK ]] || fail "$2 is not a private host's folder"
    locate "$2"
    shift 2
    case $verb in
    up)
        lock
        start survive
        ;;
    hold)
        trap 'lock; end_host; exit 0' INT TERM
        lock
        start die
        flock --unlock "$lock_fd"
        # A builtin, so that a signal is handled at once.
        while read -r _; do :; done
        lock
        end_host
        ;;
    down)
        lock
        end_host
        ;;
    purge)
        lock
        purge
        ;;
    status) running_pid "$record" >/dev/null && print_host ;;
    exec) enter "$@" ;;
    policy) install -m 644 /dev/stdin "$place/etc/libvirt/$POLICY" ;;
    libvirtd) control_libvirtd "${1:-}" ;;
    esac
}

main "$@"
