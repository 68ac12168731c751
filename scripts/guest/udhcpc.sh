#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Applies what the DHCP server answered; udhcpc sets the variables.
# shellcheck disable=SC2154
case $1 in
bound | renew)
    ip addr flush dev "$interface"
    ip addr add "$ip/${mask:-24}" dev "$interface"
    for gateway in $router; do
        ip route add default via "$gateway" && break
    done
    : >/etc/resolv.conf
    for server in $dns; do echo "nameserver $server" >>/etc/resolv.conf; done
    ;;
esac
exit 0
