#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Follows docs/install.md on a system that systemd runs, and tries what came of it.
#
# Usage: scripts/installed.sh
# The system is a copy of this machine's, in a container: all that is written
# goes to memory, nothing that is enabled here is started there, and it has no
# network but its own. Each ```sh block of the document up to "Does it hold?",
# and of "Profile strict", is run there as root from the repository, with the
# binaries of target/debug in place of target/release.
set -euo pipefail
. "$(dirname "$0")/prelude.sh"
cd "$REPOSITORY"

# All mounts and processes are this script's own, and end with it, however it ends.
if [[ ${1:-} != --inside ]]; then
    eval "$(scripts/guest.sh)"
    scope=()
    # The container is a part of this script's unit. Where systemd runs, that must be one that may be
    # divided.
    [[ ! -d /run/systemd/system ]] || scope=(systemd-run --quiet --scope --property Delegate=yes)
    as_root "${scope[@]}" setpriv --pdeathsig KILL \
        unshare --mount --pid --mount-proc --fork --kill-child \
        env DEMO_IMAGE="$DEMO_IMAGE" CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$REPOSITORY/target}" \
        "$REPOSITORY/scripts/installed.sh" --inside
    exit
fi

# In the copy alone.
readonly MARK=copy-for-hyper-nixos
# Nobody's names.
readonly ada=hv-try-ada eve=hv-try-eve
work=$(mktemp -d)
root=$work/root
container='' leader=''

end() {
    trap - EXIT
    stop
    umount --recursive --lazy "$root" "$work/memory" 2>/dev/null || true
    rm -rf --one-file-system "$work"
}

copy_system() {
    local place layer
    mkdir "$work/memory" "$root"
    mount -t tmpfs -o mode=755 tmpfs "$work/memory"
    for place in / /usr /var /etc; do
        # A copy of one file system is none of what is mounted in it.
        mountpoint --quiet "$place" || continue
        layer=$work/memory/${place//\//-}
        mkdir "$layer" "$layer/"{upper,work}
        mount -t overlay -o "lowerdir=$place,upperdir=$layer/upper,workdir=$layer/work" overlay "$root$place"
    done
    echo "$work" >"$root/$MARK"
    # What is enabled on this machine is not to run twice, and nothing of ours is there yet.
    rm -rf "$root"/etc/systemd/system/*.{wants,requires} "$root/etc/rc.local" \
        "$root"/etc/libvirt/{qemu/*.xml,qemu/autostart,storage} "$root"/etc/{hyper-nixos,polkit-1/rules.d/*hyper-nixos*} \
        "$root"/var/lib/{hvd,hyper-nixos}
}

start() {
    local i
    systemd-nspawn --quiet --boot --directory="$root" --machine=hv-installed \
        --private-network --capability=all --link-journal=no --console=pipe --register=no --keep-unit \
        --bind-ro="$REPOSITORY" --bind-ro="$CARGO_TARGET_DIR" --bind=/dev/net/tun \
        </dev/null >>"$work/boot.log" 2>&1 &
    container=$!
    for ((i = 0; i < 300; i++)); do
        kill -0 "$container" 2>/dev/null || break
        leader=$(pgrep --parent "$container" || true)
        # Degraded: a unit of the system's failed that has no place in a container.
        if is_the_copy && [[ $(inside timeout 60 systemctl is-system-running --wait) == @(running|degraded) ]]; then
            return
        fi
        sleep 0.2
    done
    tail -n 30 "$work/boot.log" >&2
    [[ -z $leader ]] || inside systemctl --failed --no-pager >&2 || true
    fail "systemd did not start the copy of this system"
}

# A process that is not in the container yet is in this machine's own system, where nothing of what
# follows may be done.
is_the_copy() { [[ -n $leader && $(inside cat "/$MARK" 2>/dev/null) == "$work" ]]; }

stop() {
    [[ -n $container ]] || return 0
    kill -TERM "$container" 2>/dev/null || true
    for ((i = 0; i < 100; i++)); do
        kill -0 "$container" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$container" 2>/dev/null || true
    wait "$container" 2>/dev/null || true
    container=''
}

# Runs a command in the container, as root or as another user.
inside() {
    nsenter --all --target "$leader" --wdns="$REPOSITORY" env --ignore-environment \
        PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 NO_COLOR=1 "$@"
}
as() { inside setpriv --reuid "$1" --regid "$1" --init-groups --no-new-privs "${@:2}"; }

# Prints the ```sh blocks of the document's sections from the first pattern's to the second's.
blocks() {
    awk -v from="$1" -v to="$2" '
        /^## / { on = $0 ~ from ? 1 : $0 ~ to ? 0 : on }
        /^```/ { inside = !inside && on && $0 == "```sh"; next }
        inside' docs/install.md | sed "s,target/release/,$CARGO_TARGET_DIR/debug/,g"
}
follow() { blocks "$1" "$2" | inside bash -euxo pipefail -s >"$work/follow.log" 2>&1 || show "$work/follow.log"; }

# Shows the end of a log and what the system complains of, and fails.
show() {
    tail -n 40 "$1" >&2
    inside journalctl --quiet --boot --priority warning --lines 20 --output cat >&2 || true
    fail "$step"
}

# Says what is tried next.
try() { step=$1 && echo "$1"; }

# Waits until a command in the container succeeds.
until_so() {
    local i
    for ((i = 0; i < 300; i++)); do
        if inside "$@" >"$work/wait.log" 2>&1; then return; fi
        sleep 0.2
    done
    show "$work/wait.log"
}

# The daemons run, complain of nothing, and none of their checks fails.
check_daemons() {
    local complaints unit
    until_so bash -c 'hv --json | jq --exit-status .freshness.live'
    for unit in hvd hv-broker; do until_so systemctl is-active "$unit"; done
    complaints=$(inside journalctl --quiet --boot --priority err --unit hvd --unit hv-broker --output cat)
    [[ -z $complaints ]] || fail "$step: the daemons complain: $complaints"
    complaints=$(inside hv --json | jq --raw-output '.checks[] | select(.status == "fail") | .id + ": " + .observed')
    [[ -z $complaints ]] || fail "$step: health fails: $complaints"
}

trap end EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
try "a copy of this system is started by systemd"
copy_system
start
# As Debian's packages do it.
inside systemctl enable --quiet --now libvirtd.socket libvirtd-ro.socket virtlogd.socket libvirtd

try "docs/install.md is followed"
follow '## Users' '## Does it hold'
# In a container the controllers of an older kernel can't be written.
echo 'cgroup_controllers = []' >>"$root/etc/libvirt/qemu.conf"
inside systemctl restart libvirtd

try "both daemons run under systemd, complain of nothing, and are exposed to at most 1.2"
check_daemons
# There is no KVM in the container, of which the broker warns: so what it complains of would be seen.
inside journalctl --quiet --boot --priority warning --unit hv-broker --output cat | grep --quiet emulated ||
    fail "$step: the journal does not know what is a warning"
inside systemd-analyze security --threshold=12 --no-pager hvd hv-broker >"$work/exposure.log" || show "$work/exposure.log"

try "who is in the group, and was granted it, makes a VM that boots and answers"
inside useradd "$ada"
inside gpasswd --add "$ada" hv-users >/dev/null
inside hv access grant creator "user:$ada" --on own >/dev/null
inside hv image add demo "$DEMO_IMAGE" >/dev/null
as "$ada" hv vm create --file - --start >/dev/null <<END
name: web
memory: 256 MiB
disks: [{ image: demo }]
nics: [{ network: default }]
END
until_so bash -c 'hv vm show web --json | jq --exit-status ".agent == \"connected\""'

try "who is not in the group reaches neither hvd nor libvirt"
inside useradd "$eve"
! as "$eve" hv vm list >/dev/null 2>&1 || fail "$step: eve lists VMs"
! as "$eve" virsh --connect qemu:///system list >/dev/null 2>&1 || fail "$step: eve reaches libvirt"
! as "$ada" virsh --connect qemu:///system list >/dev/null 2>&1 || fail "$step: ada reaches libvirt"

try "a killed daemon is started again, and the VM runs on"
for unit in hvd hv-broker; do
    killed=$(inside systemctl show --property MainPID --value "$unit")
    inside systemctl kill --signal KILL "$unit"
    # shellcheck disable=SC2016 # for the shell there
    until_so bash -c '[[ $(systemctl show --property MainPID --value $1) != @(0|$2) ]]' - "$unit" "$killed"
done
check_daemons
inside hv vm show web --json | jq --exit-status '.state == "running"' >/dev/null || fail "$step: web does not run"

try "a taken-over hvd gets nothing by it"
inside hv attack --as hvd >"$work/attack.log" 2>&1 || show "$work/attack.log"
tail -n 1 "$work/attack.log"

try "after a reboot all of it is there again"
stop
start
check_daemons
as "$ada" hv vm start web >/dev/null

try "in profile strict libvirt judges the person"
follow '## Profile strict' '^$'
check_daemons
as "$ada" hv vm kill web --yes >/dev/null
as "$ada" hv vm start web >/dev/null
! inside hv vm kill web --yes >"$work/root.log" 2>&1 || fail "$step: root is judged as nobody, and does it all the same"
grep --quiet "root is no person" "$work/root.log" || show "$work/root.log"
