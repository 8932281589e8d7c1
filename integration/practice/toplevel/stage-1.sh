#!/bin/sh
# First stage, in the initrd: finds the root file system by the label of its partition, through RAID and LUKS where they are
# on the way, or the pool that lies there, mounts it, hands over to `init=`.
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /etc
exec </dev/console >/dev/console 2>&1
echo "<<< practice system (a stand-in for NixOS), stage 1 >>>"

for module in $(cat /lib/modules/*/load-order); do insmod /lib/modules/*/"$module" 2>/dev/null; done
# The others when they are asked for.
echo /bin/modprobe >/proc/sys/kernel/modprobe

init=
for word in $(cat /proc/cmdline); do
    case $word in init=*) init=${word#init=} ;; esac
done

# The partitions of the layout's disks that are called so: `disk-main-root` for `root`.
labelled() {
    for uevent in $(grep -lxE "PARTNAME=disk-[^-]+-$1" /sys/class/block/*/uevent 2>/dev/null); do
        sed -n 's,^DEVNAME=,/dev/,p' "$uevent"
    done
}
kind() { /bin/real/blkid -p -o value -s TYPE "$1"; }

# The device that a part of an array leads to, or nothing as long as the array lacks parts. What is not there after a
# few seconds is taken for gone.
array() {
    set -- "$1" /sys/class/block/"${1##*/}"/holders/md*
    [ -e "$2" ] || { modprobe raid1; mdadm --quiet --incremental "$1" >/dev/null; return; }
    md=/dev/${2##*/}
    case $(cat "$2/md/array_state") in
        inactive | clear) [ $tries -lt 80 ] || { echo "stage 1: $md is started without the disks that are missing" >&2; mdadm --quiet --run "$md"; } ;;
        *) echo "$md" ;;
    esac
}

# An address on the first card that gets one.
network() {
    ip link set lo up
    while :; do
        for nic in /sys/class/net/*; do
            [ -e "$nic/device" ] || continue
            nic=${nic##*/}
            ip link set "$nic" up
            ! udhcpc -i "$nic" -n -q -t 10 -T 1 -A 1 -s /bin/lease || return
        done
        usleep 500000
    done
}

root=
tries=0
until [ -n "$root" ]; do
    for part in $(labelled root); do
        case $(kind "$part") in
            linux_raid_member) root=$(array "$part") ;;
            ?*) root=$part ;;
        esac
        [ -z "$root" ] || break 2
    done
    tries=$((tries + 1))
    # Said once, so that a machine with no disk explains itself.
    [ $tries != 2 ] || echo "stage 1: waiting for a partition labelled disk-main-root"
    usleep 50000
done

if [ "$(kind "$root")" = crypto_LUKS ]; then
    modprobe dm_crypt
    echo "stage 1: $root is encrypted"
    volumes="root=$root"
    for part in $(labelled swap); do volumes="$volumes swap=$part"; done
    if [ -e /bin/netboot-agent ]; then
        network &
        # shellcheck disable=SC2086
        netboot-agent unlock $volumes
        kill $! 2>/dev/null
        killall udhcpc 2>/dev/null
    fi
    # A person, for what is closed still. What is typed before a prompt is ready is not to be seen either.
    stty -echo
    for volume in $volumes; do
        until [ -e "/dev/mapper/${volume%%=*}" ] || cryptsetup open "${volume#*=}" "${volume%%=*}"; do
            echo "stage 1: ${volume#*=} stays closed"
        done
    done
    stty echo
    root=/dev/mapper/root
fi

type=$(kind "$root")
case $type in
    btrfs)
        # Subvolumes are called as what they are mounted on; `root`, or the volume itself, is `/`.
        mkdir -p /volume
        mount -t btrfs -o subvolid=5 "$root" /volume
        subvolume=/
        [ ! -d /volume/root ] || subvolume=root
        mount -t btrfs -o "subvol=$subvolume" "$root" /sysroot || { echo "stage 1: cannot mount $root"; exec sh; }
        for name in nix home var; do
            [ -d "/volume/$name" ] && [ "$subvolume" != / ] || continue
            mkdir -p "/sysroot/$name"
            mount -t btrfs -o "subvol=$name" "$root" "/sysroot/$name"
        done
        umount /volume
        ;;
    zfs_member)
        # Under the id that all practice systems have, and without force. The kernel's module reads it when it is loaded.
        printf nbpr >/etc/hostid
        modprobe zfs
        zpool import -d "$root" -N rpool || { echo "stage 1: cannot import rpool from $root"; exec sh; }
        root=rpool/root type=zfs
        mount -t zfs "$root" /sysroot || { echo "stage 1: cannot mount $root"; exec sh; }
        for name in nix home var; do
            mkdir -p "/sysroot/$name"
            mount -t zfs "rpool/$name" "/sysroot/$name"
        done
        ;;
    *) mount -t "$type" "$root" /sysroot || { echo "stage 1: cannot mount $root"; exec sh; } ;;
esac
for m in proc sys dev run; do
    mkdir -p /sysroot/$m
    mount --move /$m /sysroot/$m
done
echo "stage 1: root is $root ($type), handing over to $init"
exec switch_root /sysroot "$init"
