# The development shell: everything that `integration/demo` and `integration/test` need, from nixpkgs.
{
  description = "A netboot appliance: plug in a box, power it on, and it joins the cluster";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { nixpkgs, ... }:
    let
      # The practice machines are x86-64: their firmware, kernel and boot loaders are.
      system = "x86_64-linux";
      pkgs = nixpkgs.legacyPackages.${system};
    in
    {
      devShells.${system}.default = pkgs.mkShell {
        packages = with pkgs; [
          cargo
          cargo-nextest
          clippy
          rustc
          rustfmt

          busybox
          cpio
          curl
          dnsmasq
          dosfstools
          e2fsprogs
          iproute2
          jq
          kmod
          lz4
          nftables
          nix
          openssh
          openssl
          qemu_kvm
          socat
          systemd
          tcpdump
          util-linux
          xz
          zstd
        ];

        # A static binary of every crate is built against the C library's static archive.
        buildInputs = [ pkgs.glibc.static ];

        OVMF_DIR = "${pkgs.OVMF.fd}/FV";
        IPXE_DIR = "${pkgs.ipxe}";
        SEABIOS_DIR = "${pkgs.qemu_kvm}/share/qemu";
        QEMU_ROM_DIR = "${pkgs.qemu_kvm}/share/qemu";
        SYSTEMD_BOOT_EFI = "${pkgs.systemd}/lib/systemd/boot/efi/systemd-bootx64.efi";
        GRUB_PC_DIR = "${pkgs.grub2}/lib/grub/i386-pc";
        UDEV_DIR = "${pkgs.systemd}/lib/udev";
        BUSYBOX_STATIC = "${pkgs.pkgsStatic.busybox}/bin/busybox";
        PRACTICE_KERNEL_DIR = pkgs.linkFarm "practice-kernel" [
          {
            name = "bzImage";
            path = "${pkgs.linux}/bzImage";
          }
          {
            name = "lib/modules";
            path = "${pkgs.linux.modules or pkgs.linux}/lib/modules";
          }
        ];
      };
    };
}
