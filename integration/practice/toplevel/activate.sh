#!@busybox@/bin/sh
# Makes the running root (or a chroot) look as this system says; run at every boot, at install, and by switch-to-configuration.
export PATH=@busybox@/bin
echo "activating @out@"

# In the installer's chroot only /dev and /sys are there: the rest is NixOS's "specialfs", and so is this.
mounted() { grep -q " $1 " /proc/mounts; }
[ -e /proc/mounts ] || { mkdir -p /proc && mount -t proc proc /proc; }
mounted /run || { mkdir -p /run && mount -t tmpfs -o mode=755 tmpfs /run; }
mounted /dev/pts || { mkdir -p /dev/pts && mount -t devpts devpts /dev/pts; }

mkdir -p /etc /bin /usr/bin /root /var/log /var/lib /var/empty /tmp /home
chmod 700 /root
chmod 1777 /tmp
ln -sfn @systemPath@/bin/sh /bin/sh
ln -sfn @systemPath@/bin/env /usr/bin/env
ln -sfn /run /var/run 2>/dev/null

# /etc: a link per file of this system. Files which are no links were written by the installer or by hand, and stay.
ln -sfn @etc@/etc /etc/static
for f in /etc/static/*; do
    name=${f##*/}
    if [ -L "/etc/$name" ] || [ ! -e "/etc/$name" ]; then ln -sfn "/etc/static/$name" "/etc/$name"; fi
done
# Links into an earlier system's /etc that this one does not have.
for f in /etc/*; do
    if [ -L "$f" ] && [ ! -e "$f" ]; then
        case $(readlink "$f") in /etc/static/*) rm "$f" ;; esac
    fi
done

# root, without a password and so without a login.
[ -e /etc/passwd ] || printf 'root:x:0:0:System administrator:/root:/run/current-system/sw/bin/sh\n' >/etc/passwd
[ -e /etc/group ] || printf 'root:x:0:\n' >/etc/group
[ -e /etc/shadow ] || { umask 077; printf 'root:!:1::::::\n' >/etc/shadow; }

ln -sfn @out@ /run/current-system
mkdir -p /nix/var/nix/gcroots
ln -sfn /run/current-system /nix/var/nix/gcroots/current-system
