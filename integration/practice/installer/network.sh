# Sourced by pid 1 of the practice installers: waits for the network card, and for an address. Fails where no card comes.
# shellcheck shell=sh

# The card that netbooted, which iPXE and PXELINUX name in BOOTIF; without it, the first that has a cable in it.
wanted=
for word in $(cat /proc/cmdline); do
    case $word in BOOTIF=01-*) wanted=$(echo "${word#BOOTIF=01-}" | tr A-F- a-f:) ;; esac
done
# Seconds. Drivers take an emulated machine ten of them, a switch holds its port back for thirty.
limit=120
since=$(cut -d. -f1 /proc/uptime)
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
    if [ $(($(cut -d. -f1 /proc/uptime) - since)) -ge "$limit" ]; then
        echo "installer: error: no network card with a cable${wanted:+ and the address $wanted} came within $limit s"
        for dev in /sys/class/net/*; do
            [ "${dev##*/}" = lo ] ||
                echo "installer:   ${dev##*/} has the address $(cat "$dev/address"), cable: $(cat "$dev/carrier" 2>/dev/null || echo unknown)"
        done
        # The class of a network card begins with 02.
        for dev in /sys/bus/pci/devices/*; do
            case $(cat "$dev/class") in
                0x02*) [ -e "$dev/driver" ] || echo "installer:   $(cat "$dev/modalias") has no driver" ;;
            esac
        done
        return 1
    fi
    usleep 50000
done
until udhcpc -i "$nic" -n -q -t 10 -T 1 -A 1 -s /bin/lease; do
    echo "installer: no address on $nic yet"
done
