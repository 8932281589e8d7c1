#!@busybox@/bin/sh
# Makes another generation on the node itself, once: this system under another name, with an initrd of its own, and has it
# write its menu. That is what a switch on a node does for its boot loader; there is no Nix here that could build a system.
set -eu
export PATH=@busybox@/bin
out=@out@
profiles=/nix/var/nix/profiles

# A name of the same form that no other path has.
hash=${out#/nix/store/}
next=/nix/store/$(echo "${hash%%-*}" | rev)-nixos-system-practice-renewed
[ ! -e "$next" ] || exit 0
cp -a "$out" "$next.tmp"
chmod -R u+w "$next.tmp"
rm "$next.tmp/initrd"
cp "$out/initrd" "$next.tmp/initrd"
find "$next.tmp" -type f ! -name initrd -exec sed -i -e "s|$out|$next|g" -e 's/ practice\.renew//' {} +
mv "$next.tmp" "$next"

last=$(readlink $profiles/system)
last=${last#system-}
number=$((${last%-link} + 1))
ln -sfn "$next" "$profiles/system-$number-link"
ln -sfn "system-$number-link" $profiles/system
"$next/bin/switch-to-configuration" boot
sync
echo "generation $number boots next"
