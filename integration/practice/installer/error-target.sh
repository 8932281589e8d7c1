#!/bin/sh
# error-target START+COUNT,…: a SCSI disk with the serial number `failing`, on which these sectors of 512 octets can be neither
# read nor written. It is the disk vda, seen through the device mapper's error target and the kernel's own SCSI target (LIO).
set -e
table() {
    at=0
    for bad in $(echo "$1" | tr , ' '); do
        start=${bad%+*}
        echo "$at $((start - at)) linear /dev/vda $at"
        echo "$start ${bad#*+} error"
        at=$((start + ${bad#*+}))
    done
    echo "$at $(($(blockdev --getsz /dev/vda) - at)) linear /dev/vda $at"
}
modprobe -a dm_mod target_core_iblock tcm_loop
table "$1" | dmsetup create failing
udevadm settle
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
target=/sys/kernel/config/target
disk=$target/core/iblock_0/failing
mkdir -p "$disk"
echo udev_path=/dev/mapper/failing >"$disk/control"
echo failing >"$disk/wwn/vpd_unit_serial"
echo 1 >"$disk/enable"
port=$target/loopback/naa.6001405000000001/tpgt_1
mkdir -p "$port"
echo naa.6001405000000002 >"$port/nexus"
mkdir "$port/lun/lun_0"
ln -s "$disk" "$port/lun/lun_0/disk"
udevadm settle
echo "installer: these sectors of the disk \`failing\` give errors: $1"
dmsetup table failing
