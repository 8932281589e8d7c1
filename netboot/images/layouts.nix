# A layout's name → swap (`"4G"`, or null for none) → `disko.devices` for each firmware.
#
# The layouts themselves are in netboot/src/disk/layout.json, in disko's own schema, where the agent that formats the disks has
# them from too (a test in netboot/src/layout holds the file to it). So what is formatted and what is in fstab cannot differ.
lib:
let
  # The sample in the file has some size of swap; the profile says which.
  sized =
    swap: devices:
    devices
    // {
      disk = builtins.mapAttrs (
        _: disk:
        lib.recursiveUpdate disk {
          content.partitions = lib.optionalAttrs (disk.content.partitions ? swap) { swap.size = swap; };
        }
      ) devices.disk;
    };
in
builtins.mapAttrs (
  _: byFirmware: swap:
  builtins.mapAttrs (
    _: variants: if swap == null then variants.plain else sized swap variants.swap
  ) byFirmware
) (builtins.fromJSON (builtins.readFile ../src/disk/layout.json))
