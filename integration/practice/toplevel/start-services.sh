#!@busybox@/bin/sh
# What systemd would start on NixOS: network, the agent's report, k3s where the machine has a role. Output goes to the console.
export PATH=/run/current-system/sw/bin HOME=/root

# Each line of a service, with its name before it. Nothing here waits: a boot must not hang on the network.
service() {
    name=$1
    shift
    echo "starting $name: $*"
    { "$@" 2>&1; echo "ended with status $?"; } | while read -r line; do echo "$name: $line"; done >/dev/console &
}

ip link set lo up
for nic in /sys/class/net/*; do
    [ -e "$nic/device" ] || continue
    nic=${nic##*/}
    ip link set "$nic" up
    # -b: goes on in the background when nobody answers, and renews what it got.
    udhcpc -b -q -t 5 -T 1 -A 3 -x "hostname:$(hostname)" -i "$nic" -s /run/current-system/practice/lease >/dev/console 2>&1 &
done

service agent netboot-agent report
role=$(cat /var/lib/netboot/k3s-role 2>/dev/null)
if [ -n "$role" ] && [ -e /etc/rancher/k3s/config.yaml ]; then
    case $role in
        agent) service "k3s (stand-in)" k3s agent ;;
        server | server-init) service "k3s (stand-in)" k3s server ;;
        *) echo "k3s: unknown role $role in /var/lib/netboot/k3s-role" ;;
    esac
fi
# As if somebody had switched to another system here.
case " $(cat /proc/cmdline) " in *" practice.renew "*) service renew /run/current-system/practice/renew ;; esac
# The power button. Without it `system_powerdown` in QEMU would be lost on us.
mkdir -p /etc/acpi/PWRF
printf '#!/bin/sh\npoweroff\n' >/etc/acpi/PWRF/00000080
chmod 755 /etc/acpi/PWRF/00000080
acpid -p /run/acpid.pid -l /var/log/acpid.log
exit 0
