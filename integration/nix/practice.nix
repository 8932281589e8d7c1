# packages.practice: what the practice machines are made of besides our own programs, in one folder by the names that
# `integration/setup` looks for. The machines are x86-64 whatever builds them; `x86`: the packages for that.
pkgs: x86:
let
  # The plain one, as distributions have it: what our own iPXE asks before any script of ours is tested with it too.
  ipxe = x86.ipxe.override {
    additionalTargets = {
      "bin-x86_64-efi/snponly.efi" = null;
    };
  };
in
pkgs.linkFarm "practice" {
  "ovmf/OVMF_CODE_4M.fd" = "${x86.OVMF.fd}/FV/OVMF_CODE.fd";
  "ovmf/OVMF_VARS_4M.fd" = "${x86.OVMF.fd}/FV/OVMF_VARS.fd";
  "ipxe/undionly.kpxe" = "${ipxe}/undionly.kpxe";
  "ipxe/snponly.efi" = "${ipxe}/snponly.efi";
  "ipxe/ipxe.efi" = "${ipxe}/ipxe.efi";
  # It has all drivers, and so is the small one as well.
  "kernel/bzImage" = "${x86.linux}/bzImage";
  "kernel/lib/modules" = "${x86.linux.modules or x86.linux}/lib/modules";
  "systemd-bootx64.efi" = "${x86.systemd}/lib/systemd/boot/efi/systemd-bootx64.efi";
  "grub/i386-pc" = "${x86.grub2}/lib/grub/i386-pc";
  "busybox" = "${x86.pkgsStatic.busybox}/bin/busybox";
}
