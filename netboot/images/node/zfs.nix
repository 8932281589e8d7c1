# A system on a pool of ZFS: where the first stage finds it, and as whose it opens it. What follows from `fileSystems` (programs,
# kernel module, import in the first stage) NixOS does by itself; a kernel that its ZFS does not know stops the evaluation.
{ config, lib, ... }:
let
  inherit (import ../layout-of.nix lib config.netboot) uefi;
in
{
  config = lib.mkIf (uefi ? zpool) {
    networking.hostId = lib.mkDefault (import ../host-id.nix);
    boot.zfs = {
      # As the agent labelled it. Not every disk has a link in by-id, which is the default.
      devNodes = lib.mkDefault "/dev/disk/by-partlabel";
      # The agent leaves the pool exported, and after a power cut the same id finds it its own: what would need force is
      # somebody else's.
      forceImportRoot = lib.mkDefault false;
    };
  };
}
