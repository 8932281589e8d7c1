# The development shell: everything that `integration/demo` and `integration/test` need.
pkgs:
let
  # It has all drivers, and so is the small one as well.
  kernel = pkgs.linkFarm "practice-kernel" [
    {
      name = "bzImage";
      path = "${pkgs.linux}/bzImage";
    }
    {
      name = "lib/modules";
      path = "${pkgs.linux.modules or pkgs.linux}/lib/modules";
    }
  ];
in
pkgs.mkShell (
  {
    packages =
      with pkgs;
      [
        cargo
        cargo-nextest
        clippy
        rustc
        rustfmt
      ]
      ++ import ./tools.nix pkgs;

    # A static binary of every crate is built against the C library's static archive.
    buildInputs = [ pkgs.glibc.static ];
  }
  # The practice machines are x86-64: their firmware, kernel and boot loaders are.
  // pkgs.lib.optionalAttrs pkgs.stdenv.hostPlatform.isx86_64 {
    OVMF_DIR = "${pkgs.OVMF.fd}/FV";
    IPXE_DIR = "${pkgs.ipxe}";
    SEABIOS_DIR = "${pkgs.qemu_kvm}/share/qemu";
    QEMU_ROM_DIR = "${pkgs.qemu_kvm}/share/qemu";
    SYSTEMD_BOOT_EFI = "${pkgs.systemd}/lib/systemd/boot/efi/systemd-bootx64.efi";
    GRUB_PC_DIR = "${pkgs.grub2}/lib/grub/i386-pc";
    UDEV_DIR = "${pkgs.systemd}/lib/udev";
    SYSTEMD_NETWORKD = "${pkgs.systemd}/lib/systemd/systemd-networkd";
    BUSYBOX_STATIC = "${pkgs.pkgsStatic.busybox}/bin/busybox";
    PRACTICE_KERNEL_DIR = kernel;
    PRACTICE_KERNEL_ALL_DIR = kernel;
  }
)
