# Layout name and firmware → `disko.devices`.
#
# The layouts themselves are in netboot/src/layout.json, where the agent that formats the disk has them from too (a test
# beside layout.rs holds the file to it). So what is formatted and what is in fstab cannot differ.
lib:
let
  mib = 1048576;

  # One disk, called `main` for every machine: partition labels come from this name, never from the hardware's.
  devices = slots: {
    disk.main = {
      type = "disk";
      # The agent chooses the disk on the machine and formats it; with GPT labels in fstab this path reaches no built system.
      device = "/dev/disk/netboot/system";
      content = {
        type = "gpt";
        partitions = builtins.listToAttrs (lib.imap1 partition slots);
      };
    };
  };

  partition = number: slot: {
    name = lib.removePrefix "disk-main-" slot.label;
    value = {
      inherit (slot) label type;
      # Otherwise disko orders them by name.
      priority = number;
      size = if slot.size == null then "100%" else "${toString (slot.size / mib)}M";
    }
    // lib.optionalAttrs (slot.filesystem != null) {
      content = {
        type = "filesystem";
        format = slot.filesystem;
        inherit (slot) mountpoint;
        # The ESP holds the boot loader's random seed, which is for root alone.
        mountOptions = if slot.filesystem == "vfat" then [ "umask=0077" ] else [ "defaults" ];
      };
    };
  };
in
builtins.mapAttrs (_: builtins.mapAttrs (_: devices)) (
  builtins.fromJSON (builtins.readFile ../src/layout.json)
)
