# The development shell: everything that `integration/demo` and `integration/test` need.
pkgs: practice:
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
  # The practice machines are x86-64, and the programs on them are built for the machine that builds them.
  // pkgs.lib.optionalAttrs pkgs.stdenv.hostPlatform.isx86_64 {
    OVMF_DIR = "${practice}/ovmf";
    IPXE_DIR = "${practice}/ipxe";
    PRACTICE_IPXE_DIR = "${practice}/ipxe";
    SYSTEMD_BOOT_EFI = "${practice}/systemd-bootx64.efi";
    GRUB_PC_DIR = "${practice}/grub/i386-pc";
    BUSYBOX_STATIC = "${practice}/busybox";
    PRACTICE_KERNEL_DIR = "${practice}/kernel";
    PRACTICE_KERNEL_ALL_DIR = "${practice}/kernel";
    UDEV_DIR = "${pkgs.systemd}/lib/udev";
    SYSTEMD_CRYPTSETUP = "${pkgs.systemd}/bin/systemd-cryptsetup";
    TSS2_DIR = "${pkgs.lib.getLib pkgs.tpm2-tss}/lib";
    SYSTEMD_NETWORKD = "${pkgs.systemd}/lib/systemd/systemd-networkd";
  }
)
