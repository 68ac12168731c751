#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Stops what runs from this clone and removes all that was built or kept.
set -euo pipefail
. "$(dirname "$0")/prelude.sh"
cd "$REPOSITORY"

# Where `./dev run` keeps disks when it uses the machine's own libvirt.
readonly SYSTEM_POOLS=/var/lib/hyper-nixos-dev/system

virsh_system() { as_root timeout 20 virsh --quiet --connect qemu:///system "$@" </dev/null; }

# Removes the VMs all of whose disks are in our folder, and the pools there.
clean_system_libvirt() {
    local vm pool disks
    for vm in $(virsh_system list --all --uuid); do
        disks=$(virsh_system domblklist "$vm" --details | awk '$4 != "-" { print $4 }')
        [[ -n $disks ]] || continue
        ! grep -qv "^$SYSTEM_POOLS/" <<<"$disks" || continue
        virsh_system destroy "$vm" >/dev/null 2>&1 || true
        virsh_system undefine "$vm" --managed-save --nvram --snapshots-metadata --checkpoints-metadata >/dev/null
    done
    for pool in $(virsh_system pool-list --all --name); do
        virsh_system pool-dumpxml "$pool" | grep -qF "<path>$SYSTEM_POOLS/" || continue
        virsh_system pool-destroy "$pool" >/dev/null 2>&1 || true
        virsh_system pool-undefine "$pool" >/dev/null
    done
    as_root rm -rf "$SYSTEM_POOLS"
    as_root rmdir "${SYSTEM_POOLS%/*}" 2>/dev/null || true
}

scripts/run.sh --stop
[[ ! -d .run/host ]] || scripts/host.sh purge .run/host
scripts/host.sh sweep
[[ ! -d $SYSTEM_POOLS ]] || clean_system_libvirt
as_root rm -rf target .cache .run
say "removed what was built and what was kept"
