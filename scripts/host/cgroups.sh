# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# A private host's own control groups, in version 1, in version 2, or not at all.
#
# libvirt puts every VM under /machine of the hierarchy that it sees. Two hosts
# must not meet there, so each gets a group of its own, and a cgroup namespace
# makes that group the root. A record of lines `TYPE CONTROLLERS FOLDER` says
# which groups there are.

# Makes the groups called $1 and prints the record. A hierarchy that can't be
# written is left out; libvirt then works without it.
make_cgroups() {
    local name=$1 type mount root options controllers path folder found=
    while read -r type mount root options; do
        [[ $type == cgroup ]] || continue
        controllers=$(matching_controllers "$options" /proc/self/cgroup) || continue
        path=${controllers#* } controllers=${controllers%% *}
        [[ $root == / ]] || path=${path#"$root"}
        folder=${mount}${path%/}
        mkdir "$folder/$name" 2>/dev/null || continue
        # A new cpuset has no processors and takes no process until it has some.
        if [[ -e $folder/$name/cpuset.cpus ]]; then
            cat "$folder/cpuset.cpus" >"$folder/$name/cpuset.cpus"
            cat "$folder/cpuset.mems" >"$folder/$name/cpuset.mems"
        fi
        found=1
        echo "cgroup $controllers $folder/$name"
    done < <(list_hierarchies)
    [[ -z $found ]] || return 0

    while read -r type mount root options; do
        [[ $type == cgroup2 ]] || continue
        # At the top: a group that has processes itself can't pass controllers on.
        mkdir "$mount/$name" 2>/dev/null || continue
        delegate_controllers "$mount"
        echo "cgroup2 - $mount/$name"
        return
    done < <(list_hierarchies)
}

# Prints `TYPE MOUNTPOINT ROOT OPTIONS` for each hierarchy that is mounted.
list_hierarchies() {
    awk '{ for (i = 7; $i != "-"; i++); if ($(i + 1) ~ /^cgroup2?$/) print $(i + 1), $5, $4, $(i + 3) }' \
        /proc/self/mountinfo
}

# Prints `CONTROLLERS PATH` of this process in the hierarchy with these mount options.
matching_controllers() {
    local options=,$1, controllers path
    while IFS=: read -r _ controllers path; do
        [[ -n $controllers && $controllers != name=* ]] || continue
        if [[ $options == *",$controllers,"* ]]; then
            echo "$controllers $path"
            return
        fi
    done <"$2"
    return 1
}

# Version 2: lets the groups below $1 use each controller that is available to it.
delegate_controllers() {
    local available controller
    read -ra available <"$1/cgroup.controllers" || true
    for controller in "${available[@]}"; do
        echo "+$controller" >"$1/cgroup.subtree_control" 2>/dev/null || true
    done
}

# Moves process $1 into the groups of record $2, at the place below them called $3.
join_cgroups() {
    local process=$1 record=$2 below=${3:-} folder
    while read -r _ _ folder; do
        echo "$process" >"$folder/$below/cgroup.procs"
    done <"$record"
}

# Inside the namespaces: mounts what record $1 names, so that libvirt sees only this host's groups.
mount_cgroups() {
    local type controllers
    mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup 2>/dev/null || return 0
    while read -r type controllers _; do
        case $type in
        cgroup)
            mkdir "/sys/fs/cgroup/$controllers"
            mount -t cgroup -o "$controllers" cgroup "/sys/fs/cgroup/$controllers"
            ;;
        cgroup2)
            mount -t cgroup2 cgroup2 /sys/fs/cgroup
            # The daemons step aside, so that the root can pass controllers on to the VMs.
            mkdir -p /sys/fs/cgroup/daemons
            echo $$ >/sys/fs/cgroup/daemons/cgroup.procs
            delegate_controllers /sys/fs/cgroup
            ;;
        esac
    done <"$1"
}

# Removes the groups of record $1 and what is below them; their processes are gone or going.
remove_cgroups() {
    local folder deadline=$((SECONDS + 5))
    while read -r _ _ folder; do
        while [[ -d $folder ]]; do
            find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null && break
            ((SECONDS < deadline)) || { say "could not remove the control group $folder"; break; }
            sleep 0.05
        done
    done <"$1"
}
