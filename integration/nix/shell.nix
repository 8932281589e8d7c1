# The development shell beside what `integration/setup` asks of a machine: rows for tests.nix.
{ lib, flake }:
let
  inherit (flake.packages.x86_64-linux) practice;
  shell = flake.devShells.x86_64-linux.default;
  setup = builtins.readFile ../setup;
in
{
  "the parts of practice machines have the names that are looked for" =
    let
      at = variable: lib.removePrefix "${practice}/" shell.${variable};
      known = path: practice.entries ? ${path};
      asked = path: builtins.length (builtins.split path setup) > 1;
    in
    builtins.all known [
      "${at "OVMF_DIR"}/OVMF_CODE_4M.fd"
      "${at "IPXE_DIR"}/snponly.efi"
      "${at "PRACTICE_KERNEL_DIR"}/lib/modules"
      (at "SYSTEMD_BOOT_EFI")
      (at "GRUB_PC_DIR")
      (at "BUSYBOX_STATIC")
    ]
    && asked "OVMF_CODE_4M.fd"
    && asked "snponly.efi";
  "every command that `setup` asks for comes with the shell" =
    let
      list = name: builtins.head (builtins.elemAt (builtins.split "\n${name}=\"\n([^\"]*)\"" setup) 1);
      needs = lib.concatStrings (map list [ "compiler" "needs" "needs_of_tests" ]);
      probes = map (line: lib.last (lib.splitString " " line)) (
        lib.filter (line: line != "") (lib.splitString "\n" needs)
      );
      # The rest are files, in the folders that the shell names, or where QEMU says.
      commands = lib.filter (probe: builtins.match "[a-z][^:/]*" probe != null) probes;
      # Where the package is not called as its command. The compiler comes with any shell.
      packages = {
        cc = null;
        grub-install = "grub2";
        ip = "iproute2";
        lvm = "lvm2";
        "mkfs.btrfs" = "btrfs-progs";
        "mkfs.ext4" = "e2fsprogs";
        "mkfs.vfat" = "dosfstools";
        "mkfs.xfs" = "xfsprogs";
        modprobe = "kmod";
        mount = "util-linux";
        nft = "nftables";
        objcopy = null;
        perfdhcp = "kea";
        qemu-system-x86_64 = "qemu_kvm";
        sfdisk = "util-linux";
        ssh-keygen = "openssh";
        systemd-analyze = "systemd";
        tftp = "tftp-hpa";
        udevadm = "systemd";
        unshare = "util-linux";
      };
      there = map (package: package.name) shell.packages;
      has =
        command:
        let
          package = packages.${command} or command;
        in
        package == null || builtins.elem package there;
    in
    lib.filter (command: !has command) commands == [ ] && builtins.elem "curl" commands;
}
