# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
# Installs what `./dev` needs: Debian packages, and tools for cargo under .cache/tools.
#
# When all is there it costs one call of dpkg-query. docs/dependencies.md says
# what each package is for.

readonly PACKAGES=(
    libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients libvirt-dev
    qemu-system-x86 qemu-utils ovmf swtpm swtpm-tools
    dbus polkitd dnsmasq-base nftables ebtables iproute2
    mtools syslinux syslinux-common fdisk e2fsprogs busybox-static cpio
    libnbd-bin libxml2-utils socat curl jq tmux
    pkg-config gcc g++ libc6-dev shellcheck procps util-linux systemd systemd-container
)
readonly RUST_MINIMUM=1.89.0
readonly CARGO_DENY=cargo-deny@0.20.2 CARGO_NEXTEST=cargo-nextest@0.9.143
readonly TOOLS=$REPOSITORY/.cache/tools

PATH=$TOOLS/bin:$PATH

ensure_packages() {
    local missing downgrades
    command -v dpkg-query >/dev/null ||
        fail "./dev installs what it needs with apt-get, and this is not Debian: install the packages of docs/dependencies.md by other means"
    missing=$(missing_packages)
    [[ -n $missing ]] || return 0
    say "installing packages: ${missing//$'\n'/ }"
    local log=$REPOSITORY/.cache/apt.log
    mkdir -p "$REPOSITORY/.cache"
    as_root apt-get -qq update >"$log" 2>&1 </dev/null || fail_with_log "$log" "could not fetch the lists of packages"
    mapfile -t downgrades < <(orphaned_packages)
    # Word splitting is wanted: names of packages have no spaces.
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
        install --yes --no-install-recommends --allow-downgrades $missing "${downgrades[@]}" >"$log" 2>&1 </dev/null ||
        fail_with_log "$log" "could not install the packages"
}

fail_with_log() {
    tail -n 30 "$1" >&2
    fail "$2; the end of $1 is above"
}

missing_packages() {
    printf '%s\n' "${PACKAGES[@]}" | grep -vxF -f <(
        dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${PACKAGES[@]}" 2>/dev/null | sed -n 's/^installed //p'
    ) || true
}

# QEMU's packages want each other in one version. Where one is installed in a
# version that no source offers any more, the others can't join it: prints
# NAME=VERSION of what the sources offer instead.
orphaned_packages() {
    local package installed offered
    for package in qemu-utils qemu-block-extra qemu-system-common qemu-system-data; do
        installed=$(dpkg-query -W -f '${db:Status-Status} ${Version}' "$package" 2>/dev/null) || continue
        [[ $installed == 'installed '* ]] || continue
        installed=${installed#installed }
        offered=$(apt-cache madison "$package" | awk '{ print $3 }')
        if [[ -z $offered ]] || grep -qxF "$installed" <<<"$offered"; then continue; fi
        offered=$(head -n1 <<<"$offered")
        say "$package $installed is in no configured source; going back to $offered"
        echo "$package=$offered"
    done
}

ensure_rust() {
    local version
    command -v cargo >/dev/null || PATH=$PATH:$HOME/.cargo/bin
    command -v cargo >/dev/null ||
        fail "Rust is missing. Install it with rustup (https://rustup.rs), version $RUST_MINIMUM or newer, and start again"
    version=$(rustc --version | cut -d' ' -f2)
    [[ $(printf '%s\n' "$RUST_MINIMUM" "${version%%-*}" | sort -V | head -n1) == "$RUST_MINIMUM" ]] ||
        fail "Rust $version is too old; $RUST_MINIMUM or newer is needed. Update it with: rustup update"
}

# What only the checks and the tests use.
ensure_check_tools() {
    local component
    for component in fmt clippy; do
        cargo "$component" --version >/dev/null 2>&1 ||
            fail "cargo $component is missing. Add it with: rustup component add rustfmt clippy"
    done
    command -v cargo-nextest >/dev/null || install_tool "$CARGO_NEXTEST"
    command -v cargo-deny >/dev/null || install_tool "$CARGO_DENY" --no-default-features
}

# Without optimisation a tool is built in a minute, and is quick enough.
install_tool() {
    local tool=$1
    shift
    say "building $tool into ${TOOLS#"$REPOSITORY/"}, once"
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 \
        CARGO_PROFILE_RELEASE_STRIP=debuginfo CARGO_TARGET_DIR=$TOOLS/target \
        cargo install --quiet --locked --root "$TOOLS" "$tool" "$@" >&2 ||
        fail "could not build $tool; see above"
    rm -rf "$TOOLS/target"
}
