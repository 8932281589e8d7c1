# iPXE for every firmware that the appliance has a loader for, with our script inside: a folder for `boot.ipxe-dir`.
pkgs:
let
  ipxe =
    packages: platform:
    packages.ipxe.override {
      embedScript = ./embedded.ipxe;
      # Not among those that nixpkgs makes: the one that uses the firmware's own network driver, and only on the card it booted from.
      additionalTargets = {
        "bin-${platform}-efi/snponly.efi" = null;
      };
    };
  host = pkgs.stdenv.hostPlatform;
  x86 = ipxe (if host.isx86_64 then pkgs else pkgs.pkgsCross.gnu64) "x86_64";
  arm64 = ipxe (if host.isAarch64 then pkgs else pkgs.pkgsCross.aarch64-multiplatform) "arm64";
in
# By the names that the appliance looks for.
pkgs.linkFarm "ipxe-loaders" {
  "undionly.kpxe" = "${x86}/undionly.kpxe";
  "snponly.efi" = "${x86}/snponly.efi";
  "ipxe.efi" = "${x86}/ipxe.efi";
  "snponly-arm64.efi" = "${arm64}/snponly.efi";
  "ipxe-arm64.efi" = "${arm64}/ipxe.efi";
}
