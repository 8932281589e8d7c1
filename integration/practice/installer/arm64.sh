#!/bin/busybox sh
# Pid 1 of the practice installer for arm64: goes as far as it can without an agent for this processor.
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root TERM=linux
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=755 tmpfs /run
exec </dev/console >/dev/console 2>&1
echo "<<< practice installer for arm64 (a stand-in for the NixOS installer, without the agent) >>> $(cut -d' ' -f1 /proc/uptime) s after the kernel"

# Its own notices of this are below the console's level.
dmesg | grep -o -i -E 'secure boot enabled|kernel is locked down.*'
while read -r module; do insmod "/lib/modules/$(uname -r)/$module"; done <"/lib/modules/$(uname -r)/load-order"
ip link set lo up
hostname installer
. /bin/network || { echo "installer: this machine is held here"; while :; do sleep 3600; done; }

# What the agent reads, and a first call as the agent would make one, to the port that needs no TLS.
for word in $(cat /proc/cmdline); do
    case $word in
        netboot.url=https://*) appliance=${word#netboot.url=https://} ;;
        netboot.ticket=*) ticket=${word#netboot.ticket=} ;;
    esac
done
until answer=$(wget -q -O - "http://${appliance%:*}:8080/healthz"); do
    echo "installer: ${appliance:-nobody} does not answer yet"
    sleep 1
done
echo "installer: the appliance says $answer"
echo "installer: holds the ticket $ticket, $(cut -d' ' -f1 /proc/uptime) s after the kernel; there is no agent here, and nothing more is done"
# A shell as pid 1 must not end, and reaps what is left to it while it waits.
sleep infinity &
while :; do wait; done
