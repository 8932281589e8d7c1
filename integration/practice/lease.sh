#!@busybox@/bin/sh
# What udhcpc calls with a lease, in the installer and on the practice system: sets address, route and name servers.
export PATH=@busybox@/bin
case $1 in
    deconfig) ip addr flush dev "$interface" ;;
    bound | renew)
        ip addr replace "$ip/$mask" dev "$interface"
        for r in ${router:-}; do ip route replace default via "$r" dev "$interface"; done
        # /etc/resolv.conf may be a file somebody wrote; then it stays.
        for s in ${dns:-}; do echo "nameserver $s"; done >/run/resolv.conf
        [ -e /etc/resolv.conf ] || [ -L /etc/resolv.conf ] || ln -s /run/resolv.conf /etc/resolv.conf
        ;;
esac
