#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds the small guests that `./dev run` and the tests boot, and prints where they are.
#
# Usage: scripts/guest.sh
# Prints: DEMO_IMAGE=…/demo.qcow2   answers to the agent and to the power button
#         DEAF_IMAGE=…/deaf.qcow2   answers to neither
#
# Each is a disk of 256 MiB (virtual): a boot sector, a FAT partition with
# syslinux, kernel and initrd, and an ext4 partition for data. Nothing is
# installed for it: the kernel and the agent are Debian packages that are
# downloaded once and unpacked. The result lies in a folder named after the
# hash of everything that goes in; equal inputs give equal bytes.
set -euo pipefail
. "$(dirname "$0")/prelude.sh"

readonly SOURCES=$REPOSITORY/scripts/guest
readonly CACHE=$REPOSITORY/.cache/guest
readonly PACKAGES=$CACHE/packages

# In the order in which they must be loaded. What the kernel has built in is skipped.
readonly MODULES=(
    virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci
    virtio_blk failover net_failover virtio_net virtio_console virtio_balloon
    virtio_scsi virtio-rng evdev button
)
readonly APPLETS=(
    awk blockdev cat cp cttyhack date dd df dmesg echo env false fdisk free getty grep halt head
    hostname httpd id init insmod ip kill ln login ls lsmod md5sum mdev mkdir mknod mount mv nc
    nslookup od ping poweroff ps reboot rm sed seq setsid sh sha256sum sleep stat stty sync tail
    test top touch tr true udhcpc umount uname uptime vi wc wget
)

# The layout, in sectors of 512 bytes.
readonly DISK_SECTORS=$((256 * 2048)) BOOT_START=2048 BOOT_SECTORS=$((32 * 2048))
readonly DATA_START=$((BOOT_START + BOOT_SECTORS))

# Everything that would carry the time of the build carries this one.
export SOURCE_DATE_EPOCH=1700000000 E2FSPROGS_FAKE_TIME=1700000000 LC_ALL=C TZ=UTC

# Downloads the kernel and the agent, unless they are there.
download_packages() {
    compgen -G "$PACKAGES/linux-image-*.deb" >/dev/null &&
        compgen -G "$PACKAGES/qemu-guest-agent_*.deb" >/dev/null && return
    local partial=$PACKAGES.partial
    rm -rf "$partial"
    mkdir -p "$partial"
    (cd "$partial" && (download_with_apt || { as_root apt-get -qq update && download_with_apt; })) ||
        fail "could not download the guest's kernel and agent; see above"
    rm -rf "$PACKAGES"
    mv "$partial" "$PACKAGES"
}

download_with_apt() {
    local kernel
    # linux-image-cloud-amd64 is empty and depends on the kernel of the day.
    kernel=$(apt-cache depends --important linux-image-cloud-amd64 | sed -n 's/^ *Depends: //p' | head -n1)
    [[ -n $kernel ]] && apt-get -qq download -o APT::Sandbox::User=root "$kernel" qemu-guest-agent
}

hash_inputs() {
    {
        (cd "$REPOSITORY" && sha256sum scripts/guest.sh scripts/guest/*)
        (cd "$PACKAGES" && printf '%s\n' ./*.deb)
        dpkg-query -W busybox-static e2fsprogs fdisk mtools qemu-utils syslinux libc6 libglib2.0-0
    } | sha256sum | cut -c1-16
}

# The tree that becomes the initrd.
lay_out_root() {
    local root=$1 kernel=$2 agent=$3 module file library applet
    mkdir -p "$root"/{bin,sbin,etc/qemu,proc,sys,dev,run,tmp,root,data,lib/modules,lib64,usr/sbin,usr/bin,var}
    ln -s ../run "$root/var/run"
    cp /bin/busybox "$root/bin/busybox"
    for applet in "${APPLETS[@]}"; do ln -s busybox "$root/bin/$applet"; done

    cp "$agent/usr/sbin/qemu-ga" "$root/usr/sbin/"
    if ldd "$agent/usr/sbin/qemu-ga" | grep 'not found' >&2; then
        fail "the guest agent needs libraries that this machine does not have; see above"
    fi
    ldd "$agent/usr/sbin/qemu-ga" | grep -o '/[^ )]*' | while read -r library; do
        case $library in
        /lib64/*) cp -L "$library" "$root/lib64/" ;;
        *) cp -L "$library" "$root/lib/" ;;
        esac
    done

    for module in "${MODULES[@]}"; do
        file=$(find "$kernel/lib/modules" -name "$module.ko" -print -quit)
        if [[ -n $file ]]; then
            cp "$file" "$root/lib/modules/"
            echo "$module.ko" >>"$root/lib/modules/order"
        elif ! grep -rqs "/${module//_/[-_]}\.ko$" "$kernel"/lib/modules/*/modules.builtin; then
            fail "the guest's kernel has no module $module"
        fi
    done

    echo 'root::0:0:root:/root:/bin/sh' >"$root/etc/passwd"
    echo 'root:x:0:' >"$root/etc/group"
    cat >"$root/etc/os-release" <<-END
	ID=hyper-demo
	NAME="Hyper-NixOS demo"
	PRETTY_NAME="Hyper-NixOS demo guest 1"
	VERSION="1"
	VERSION_ID="1"
	END
    cp "$SOURCES/motd" "$root/etc/motd"
    install -m 755 "$SOURCES/init" "$root/init"
    install -m 755 "$SOURCES/shutdown" "$root/sbin/shutdown"
    install -m 755 "$SOURCES/udhcpc.sh" "$root/etc/udhcpc.sh"
}

pack_initrd() {
    find "$1" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    (cd "$1" && find . -print0 | sort -z |
        cpio --null --create --format=newc --reproducible --owner=0:0 --quiet) | gzip -9n
}

# One bootable disk: the kernel's command line is what tells the variants apart.
make_disk() {
    local image=$1 work=$2 command_line=$3 disk=$2/disk.raw boot=$2/boot.img data=$2/data.img
    cat >"$work/syslinux.cfg" <<-END
	DEFAULT guest
	PROMPT 0
	SERIAL 0 115200
	LABEL guest
	  KERNEL vmlinuz
	  INITRD initrd.img
	  APPEND console=ttyS0 quiet panic=5 mitigations=off $command_line
	END
    touch -d "@$SOURCE_DATE_EPOCH" "$work"/{vmlinuz,initrd.img,syslinux.cfg}

    rm -f "$disk" "$boot" "$data"
    truncate -s $((DISK_SECTORS * 512)) "$disk"
    sfdisk --quiet "$disk" <<-END
	label: dos
	label-id: 0x48564744
	start=$BOOT_START, size=$BOOT_SECTORS, type=6, bootable
	start=$DATA_START, type=83
	END
    dd if=/usr/lib/syslinux/mbr/mbr.bin of="$disk" bs=440 count=1 conv=notrunc status=none

    truncate -s $((BOOT_SECTORS * 512)) "$boot"
    mformat -i "$boot" -h 64 -s 32 -T $BOOT_SECTORS -H $BOOT_START -N 48564744 -v BOOT ::
    mcopy -m -i "$boot" "$work"/{vmlinuz,initrd.img,syslinux.cfg} ::
    syslinux --install "$boot"
    dd if="$boot" of="$disk" bs=512 seek=$BOOT_START conv=notrunc,sparse status=none

    truncate -s $(((DISK_SECTORS - DATA_START) * 512)) "$data"
    mkfs.ext4 -q -F -L data -U 48564744-0000-4000-8000-000000000001 \
        -E hash_seed=48564744-0000-4000-8000-000000000002,root_owner=0:0,nodiscard "$data"
    dd if="$data" of="$disk" bs=512 seek=$DATA_START conv=notrunc,sparse status=none

    qemu-img convert -O qcow2 "$disk" "$image"
}

# Builds into a folder beside the final one, so that a half-made guest is never used.
build() {
    local folder=$1 work
    work=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$work' '$folder.partial'" EXIT
    rm -rf "$folder.partial"
    mkdir -p "$folder.partial" "$work/kernel" "$work/agent"
    dpkg -x "$PACKAGES"/linux-image-*.deb "$work/kernel"
    dpkg -x "$PACKAGES"/qemu-guest-agent_*.deb "$work/agent"
    lay_out_root "$work/root" "$work/kernel" "$work/agent"
    pack_initrd "$work/root" >"$work/initrd.img"
    cp "$work"/kernel/boot/vmlinuz-* "$work/vmlinuz"
    make_disk "$folder.partial/demo.qcow2" "$work" ''
    make_disk "$folder.partial/deaf.qcow2" "$work" 'guest.agent=off guest.acpi=off guest.hostname=deaf'
    # A pool's owner must be able to read what is copied from here.
    chmod 644 "$folder.partial"/*.qcow2
    mv "$folder.partial" "$folder"
}

main() {
    local folder
    mkdir -p "$CACHE"
    # Two callers at once (tests, a run): the second waits and finds the work done.
    exec 9>"$CACHE/lock"
    flock 9
    download_packages
    folder=$CACHE/$(hash_inputs)
    if [[ ! -d $folder ]]; then
        say "building the demo guest in ${folder#"$REPOSITORY/"}"
        build "$folder"
    fi
    printf 'DEMO_IMAGE=%s\nDEAF_IMAGE=%s\n' "$folder/demo.qcow2" "$folder/deaf.qcow2"
}

main
