# Sourced (bash): what the scripts that build the practice world share: finding inputs, copying programs with their libraries.
# shellcheck shell=bash

# shellcheck source=integration/practice/nix-env.sh
. "$(dirname "${BASH_SOURCE[0]}")/nix-env.sh"
# shellcheck source=integration/practice/places.sh
. "$(dirname "${BASH_SOURCE[0]}")/places.sh"
# shellcheck disable=SC2034
practice_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die() {
    echo "error: $1" >&2
    shift
    for line in "$@"; do echo "  $line" >&2; done
    exit 1
}

# What `setup` unpacks beside the build, and where the rest usually lies (places.sh looks where it does not); each can be told
# otherwise (a nix dev shell does).
export PRACTICE_KERNEL_DIR=${PRACTICE_KERNEL_DIR:-$PRACTICE_TARGET/kernel}    # vmlinuz or bzImage, and lib/modules/VERSION
export PRACTICE_KERNEL_ALL_DIR=${PRACTICE_KERNEL_ALL_DIR:-$PRACTICE_TARGET/kernel-all}    # the same, with all drivers
export PRACTICE_KERNEL_ZFS_DIR=${PRACTICE_KERNEL_ZFS_DIR:-$PRACTICE_TARGET/kernel-zfs}    # the small one, with ZFS: see zfs-kernel
export PRACTICE_ARM64_DIR=${PRACTICE_ARM64_DIR:-$PRACTICE_TARGET/arm64}       # the same for ARM, bin/busybox, shim and GRUB
export PRACTICE_IPXE_DIR=${PRACTICE_IPXE_DIR:-$PRACTICE_TARGET/ipxe}          # snponly.efi of an iPXE of 2024 or later
export SYSTEMD_BOOT_EFI=${SYSTEMD_BOOT_EFI:-/usr/lib/systemd/boot/efi/systemd-bootx64.efi}
export GRUB_PC_DIR=${GRUB_PC_DIR:-/usr/lib/grub/i386-pc}
export SYSTEMD_CRYPTSETUP=${SYSTEMD_CRYPTSETUP:-/lib/systemd/systemd-cryptsetup}
export TSS2_DIR=${TSS2_DIR:-/usr/lib/$(uname -m)-linux-gnu}
export UDEV_DIR=${UDEV_DIR:-/lib/udev}
export BUSYBOX_STATIC=${BUSYBOX_STATIC:-$(command -v busybox || echo /bin/busybox)}

kernel_image() {
    local f
    for f in "$PRACTICE_KERNEL_DIR"/{vmlinuz,bzImage}; do
        if [ -f "$f" ]; then echo "$f"; return; fi
    done
    die "no kernel in $PRACTICE_KERNEL_DIR" "tip: integration/setup"
}
kernel_version() { basename "$(echo "$PRACTICE_KERNEL_DIR"/lib/modules/*)"; }

# One short word for "these files and this text": what a built thing depends on. Programs that come with the
# distribution go in by name, size and time, which is enough to notice an upgrade and costs nothing.
digest_of() { { sha256sum -- "$@" | cut -d' ' -f1; cat; } | sha256sum | cut -c1-32; }
describe() { stat -L -c '%n %s %Y' -- "$@"; }

# Of a static program that can lie anywhere in memory, ldd says "statically linked" and is content.
is_dynamic() { case $(ldd "$1" 2>/dev/null) in */*) true ;; *) false ;; esac }
# libraries FILE…: the shared objects that these need, the loader included, as absolute paths. That is what the loader says, and
# what they open while they run and say so in an ELF note, with all that those need in turn.
libraries() {
    local all='' new
    new=$(printf '%s\n' "$@")
    while [ -n "$new" ]; do
        new=$(
            # shellcheck disable=SC2086
            { ldd $new | sed -n 's,^\t[^/]*\(/[^ ]*\).*,\1,p'; opened $new; } | sort -u | comm -23 - <(sort -u <<<"$all")
        )
        all=$(sort -u <<<"$all"$'\n'"$new")
    done
    sed '/^$/d' <<<"$all"
}

# opened FILE…: the libraries that these open themselves, by their note `.note.dlopen` (systemd's programs since systemd 256, kmod),
# without those that they call optional (`suggested`): they do without, and what needs one here names it (put_tpm).
# https://uapi-group.org/specifications/specs/elf_dlopen_metadata/
opened() {
    local file note names name path
    note=$(mktemp)
    for file in "$@"; do
        grep -q -F .note.dlopen "$file" || continue
        objcopy -O binary --only-section=.note.dlopen "$file" "$note"
        # A library of several names has the newest first.
        while read -r names; do
            for name in $names; do
                path=$(find_library "$name" "$file") || continue
                echo "$path"
                break
            done
        done < <(tr '\0' '\n' <"$note" | grep -a -o '\[{.*}\]' | jq -r '.[] | select(.priority != "suggested") | .soname | join(" ")')
    done
    rm -f "$note"
}

# find_library NAME FILE: where FILE would find it: by the folders that it names itself, then the loader's own.
find_library() {
    local dir
    case $1 in /*) [ -e "$1" ] && echo "$1"; return ;; esac
    for dir in $(readelf -d "$2" | sed -n 's/.*(R\(UN\)\{0,1\}PATH).*\[\(.*\)\]/\2/p' | tr : ' '); do
        if [ -e "$dir/$1" ]; then echo "$dir/$1"; return; fi
    done
    ldconfig -p 2>/dev/null | grep -i -F "$(uname -m | tr _ -)" | sed -n "s,^[[:space:]]*$1 .*=> ,,p" | grep -m 1 .
}

# put_program ROOT PROGRAM…: each program as ROOT/bin/NAME, its libraries at the paths where the loader looks for them.
put_program() {
    local root=$1 program path dynamic=()
    shift
    mkdir -p "$root/bin"
    for program in "$@"; do
        path=$(command -v "$program") || die "\`$program\` is not installed" "tip: integration/setup"
        cp -L --remove-destination "$path" "$root/bin/$(basename "$program")"
        ! is_dynamic "$path" || dynamic+=("$path")
    done
    [ ${#dynamic[@]} = 0 ] || put_libraries "$root" "${dynamic[@]}"
}
put_libraries() {
    local root=$1 lib
    shift
    for lib in $(libraries "$@"); do
        [ -e "$root$lib" ] || install -D "$lib" "$root$lib"
    done
}

# bundle_program DIR PROGRAM NAME: DIR/bin/NAME that runs anywhere in a store: as it is when static or a script, else
# started through a loader and libraries of its own.
bundle_program() {
    local dir=$1 name=$3 lib loader=
    mkdir -p "$dir/bin"
    if ! is_dynamic "$2"; then
        install -m 755 "$2" "$dir/bin/$name"
        return
    fi
    mkdir -p "$dir/lib"
    for lib in $(libraries "$2"); do
        cp -L --remove-destination "$lib" "$dir/lib/"
        case $lib in */ld-linux*) loader=$(basename "$lib") ;; esac
    done
    install -m 755 "$2" "$dir/lib/$name.bin"
    cat >"$dir/bin/$name" <<WRAP
#!/bin/sh
dir=\$(dirname "\$(readlink -f "\$0")")/../lib
exec "\$dir/$loader" --library-path "\$dir" --argv0 $name "\$dir/$name.bin" "\$@"
WRAP
    chmod 755 "$dir/bin/$name"
}

# put_modules ROOT FIRST LATER: these modules and what they need, under ROOT/lib/modules/VERSION, with `load-order` of the
# FIRST ones for a first stage that has no udev. What is built into the kernel, or not made for it, is passed over.
put_modules() {
    local root=$1 version dir
    version=$(kernel_version)
    dir=$root/lib/modules/$version
    mkdir -p "$dir"
    cp "$PRACTICE_KERNEL_DIR/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "$dir/"
    [ -f "$PRACTICE_KERNEL_DIR/lib/modules/$version/modules.dep" ] ||
        depmod -b "$PRACTICE_KERNEL_DIR" "$version"
    # shellcheck disable=SC2086
    copy_modules "$dir" $2 >"$dir/load-order"
    # shellcheck disable=SC2086
    copy_modules "$dir" $3 >/dev/null
    depmod -b "$root" "$version" 2>/dev/null
}

# copy_modules DIR MODULE…: unpacked, and their names below DIR in the order in which they can be loaded.
copy_modules() {
    local dir=$1 from module file
    from=$PRACTICE_KERNEL_DIR/lib/modules/$(kernel_version)
    shift
    for module in "$@"; do
        { modprobe -d "$PRACTICE_KERNEL_DIR" -S "$(kernel_version)" --show-depends "$module" 2>/dev/null || true; } |
            sed -n 's/^insmod \([^ ]*\).*/\1/p'
    done | awk '!seen[$0]++' | while read -r file; do
        file=${file#"$from/"}
        mkdir -p "$dir/$(dirname "$file")"
        case $file in
            *.xz) xz -dc "$from/$file" >"$dir/${file%.xz}" ;;
            *.zst) zstd -qdc "$from/$file" >"$dir/${file%.zst}" ;;
            *) cp "$from/$file" "$dir/$file" ;;
        esac
        file=${file%.xz}
        echo "${file%.zst}"
    done
}

# What systemd's programs load by name when they speak to a TPM; nothing where the machine that builds lacks a part of it.
tpm_libraries() {
    local name all=
    for name in "$TSS2_DIR"/libtss2-{esys,rc,mu,tcti-device}.so.0; do
        [ -e "$name" ] || return 0
        all="$all $name"
    done
    echo "$all"
}

# put_tpm ROOT: these and what they need, at the paths where they are looked for.
put_tpm() {
    local all lib
    all=$(tpm_libraries)
    [ -n "$all" ] || return 0
    for lib in $all; do [ -e "$1$lib" ] || install -D "$lib" "$1$lib"; done
    # shellcheck disable=SC2086
    put_libraries "$1" $all
}

# put_zfs ROOT: ZFS's programs, where the kernel has its modules.
put_zfs() {
    local from=$PRACTICE_KERNEL_DIR/zfs own lib program
    [ -d "$from" ] || return 0
    own=/lib/$(uname -m)-linux-gnu
    mkdir -p "$1/bin" "$1/usr/share/zfs"
    cp -r "$from/compatibility.d" "$1/usr/share/zfs/"
    for program in "$from"/sbin/*; do
        install -m 755 "$program" "$1/bin/"
        for lib in $(LD_LIBRARY_PATH=$from/lib libraries "$program"); do
            case $lib in
                "$from"/*) install -D "$lib" "$1$own/${lib##*/}" ;;
                *) [ -e "$1$lib" ] || install -D "$lib" "$1$lib" ;;
            esac
        done
    done
    # A thread that ends loads it by name.
    lib=$(cc -print-file-name=libgcc_s.so.1)
    [ -e "$1$own/libgcc_s.so.1" ] || install -D "$lib" "$1$own/libgcc_s.so.1"
}

# put_network ROOT: what an installer's init sources to get an address, and what udhcpc calls with it.
put_network() {
    install -D -m 644 "$practice_dir/installer/network.sh" "$1/bin/network"
    sed 's,@busybox@,,' "$practice_dir/lease.sh" >"$1/bin/lease"
    chmod 755 "$1/bin/lease"
}

# shellcheck disable=SC2034
# Disks, NICs and file systems that a practice machine may have.
practice_modules="virtio_pci virtio_blk virtio_scsi sd_mod sr_mod virtio_net virtio_rng nvme ahci ata_piix
    xhci_pci usb_storage uas e1000 e1000e igb r8169 ext4 vfat nls_cp437 nls_ascii nls_iso8859-1 nls_utf8 efivarfs button evdev"
# shellcheck disable=SC2034
# What only some of them need, and a slow machine takes long to load: asked for by the kernel or by a program.
practice_later_modules="md_mod raid0 raid1 raid10 raid456 linear dm_mod dm_crypt dm_snapshot dm_thin_pool dm_mirror dm_raid
    bcache xfs btrfs algif_skcipher algif_hash xts cbc essiv aesni_intel aes_generic sha256_generic sha512_generic
    tpm_tis tpm_crb loop zfs"
