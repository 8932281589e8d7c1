#!/bin/sh
# `reboot` and `poweroff` of the practice installer: its pid 1 is no service manager to ask, so it asks the kernel.
sync
umount -a -r 2>/dev/null
exec busybox "${0##*/}" -f
