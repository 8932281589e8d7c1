# iPXE for every firmware that the appliance has a loader for, with our script inside: a folder for `boot.ipxe-dir`.
#
# `x86`: the packages of x86-64, for a machine that has to take its x86 loaders as the binary cache has them.
pkgs: x86:
let
  inherit (pkgs.stdenv) hostPlatform;
  ipxe =
    packages: platform:
    packages.ipxe.override {
      embedScript = ./embedded.ipxe;
      # Not among those that nixpkgs makes: the one that uses the firmware's own network driver, and only on the card it booted from.
      additionalTargets = {
        "bin-${platform}-efi/snponly.efi" = null;
      };
    };
  arm64 = ipxe (if hostPlatform.isAarch64 then pkgs else pkgs.pkgsCross.aarch64-multiplatform) "arm64";

  ofX86 =
    if hostPlatform.isx86_64 then
      let
        built = ipxe pkgs "x86_64";
      in
      {
        "undionly.kpxe" = "${built}/undionly.kpxe";
        "snponly.efi" = "${built}/snponly.efi";
        "ipxe.efi" = "${built}/ipxe.efi";
      }
    else
      # Built on x86-64 only, because syslinux is. Without our script they ask once, and a card or a switch that is slow
      # to come up may cost a boot.
      {
        "undionly.kpxe" = "${x86.ipxe}/undionly.kpxe";
        "ipxe.efi" = "${x86.ipxe}/ipxe.efi";
      };
in
# By the names that the appliance looks for.
pkgs.linkFarm "ipxe-loaders" (
  ofX86
  // {
    "snponly-arm64.efi" = "${arm64}/snponly.efi";
    "ipxe-arm64.efi" = "${arm64}/ipxe.efi";
  }
)
