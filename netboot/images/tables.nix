# `[disk.devices]` of a profile → `disko.devices`.
#
# The table is disko's own schema, with one key of ours: `preserve` is for the agent, which formats. The device is the link that
# the agent makes to the disk that it chose; nothing that is built but GRUB for BIOS writes there. Which disks those are is said
# in node/boot.nix, and disko would say it once more for each partition of the type `EF02`, which GRUB's module refuses: by its
# GUID, and where disko would have put it, it is the same partition. With `engine = "disko"` a disk may hold something else than
# partitions.
lib: devices:
let
  partition =
    written:
    removeAttrs written [ "preserve" ]
    // lib.optionalAttrs (written.type or "" == "EF02") {
      type = "21686148-6449-6E6F-744E-656564454649";
      priority = written.priority or (if written.size or "" == "100%" then 9001 else 100);
    };
in
devices
// {
  disk = lib.mapAttrs (
    name: disk:
    disk
    // {
      device = "/dev/disk/netboot/${name}";
      content =
        disk.content
        // lib.optionalAttrs (disk.content ? partitions) {
          partitions = lib.mapAttrs (_: partition) disk.content.partitions;
        };
    }
  ) devices.disk;
}
