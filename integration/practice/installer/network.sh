# Sourced by pid 1 of the practice installers: waits for the network card, and for an address.
# shellcheck shell=sh

# The card that netbooted, which iPXE and PXELINUX name in BOOTIF; without it, the first that has a cable in it.
wanted=
for word in $(cat /proc/cmdline); do
    case $word in BOOTIF=01-*) wanted=$(echo "${word#BOOTIF=01-}" | tr A-F- a-f:) ;; esac
done
nic=
told=
while [ -z "$nic" ]; do
    for dev in /sys/class/net/*; do
        [ -e "$dev/device" ] || continue
        ip link set "${dev##*/}" up
        [ "$(cat "$dev/carrier" 2>/dev/null)" = 1 ] || continue
        if [ -z "$wanted" ] || [ "$(cat "$dev/address")" = "$wanted" ]; then
            nic=${dev##*/}
            break
        fi
    done
    [ -n "$nic" ] && break
    [ -n "$told" ] || { told=1; echo "installer: waiting for a network card with a cable${wanted:+ and the address $wanted}"; }
    usleep 50000
done
until udhcpc -i "$nic" -n -q -t 10 -T 1 -A 1 -s /bin/lease; do
    echo "installer: no address on $nic yet"
done
