# Stands where nixpkgs has the netboot image.
{ lib, ... }:
{
  options.netboot.squashfsCompression = lib.mkOption {
    type = lib.types.str;
    default = "zstd -Xcompression-level 19";
    description = "Stands for the option of NixOS.";
  };
}
