# Whether disko makes of each layout the file systems that the agent makes: rows for tests.nix, one for each plan of
# netboot/src/install/plan/layouts.txt, where the agent's commands are written down and held by a test.
{
  lib,
  nixpkgs,
  flake,
}:
let
  inherit (lib) concatMap filter listToAttrs;

  # "ext4 on Bios swap = \"2G\"\n…" → { layout, firmware, swap, lines }
  plan =
    text:
    let
      all = filter (line: line != "") (lib.splitString "\n" text);
      title = builtins.match "([^ ]+) on ([^ ]+) (swap = \"(.*)\")?" (builtins.head all);
    in
    {
      layout = builtins.elemAt title 0;
      firmware = lib.toLower (builtins.elemAt title 1);
      swap = builtins.elemAt title 3;
      lines = builtins.tail all;
    };
  plans = map plan (filter (text: text != "") (
    lib.splitString "\n\n" (builtins.readFile ../../netboot/src/install/plan/layouts.txt)
  ));

  # The groups of all lines that are of this form.
  matching = lines: pattern: filter (groups: groups != null) (map (builtins.match pattern) lines);

  # What the agent does, with its partitions called by their labels, as a system finds them.
  agent =
    lines:
    let
      labels = listToAttrs (
        map (
          groups:
          let
            disk = builtins.elemAt groups 0;
            # nvme0n1p1, but vda1
            between = if builtins.match ".*[0-9]" disk == null then "" else "p";
          in
          lib.nameValuePair "/dev/${disk}${between}${builtins.elemAt groups 1}" "/dev/disk/by-partlabel/${builtins.elemAt groups 2}"
        ) (matching lines "([a-z0-9]+)([0-9]) (disk-[^ ]+) from .*")
      );
      device = path: labels.${path} or path;
    in
    {
      mounts = listToAttrs (
        concatMap (
          groups:
          let
            options = builtins.elemAt groups 2;
            place = builtins.elemAt groups 4;
          in
          # The top of a btrfs is only mounted to make its subvolumes.
          if options == "subvolid=5" then
            [ ]
          else
            [
              (lib.nameValuePair (if place == "" then "/" else place) {
                type = builtins.elemAt groups 0;
                options = if options == null then [ ] else lib.splitString "," options;
                device = device (builtins.elemAt groups 3);
              })
            ]
        ) (matching lines "mount -t ([^ ]+)( -o ([^ ]+))? ([^ ]+) /mnt(.*)")
      );
      # A mirror's are named one by one; disko has nothing to add.
      grub = if matching lines "mdadm .*" == [ ] then [ "/dev/disk/netboot/main" ] else [ ];
      swap = map (groups: device (builtins.head groups)) (matching lines "mkswap -L [^ ]+ (.*)");
      encrypted = lib.mapAttrs (_: device) (
        listToAttrs (
          map (groups: lib.nameValuePair (builtins.elemAt groups 1) (builtins.elemAt groups 0)) (
            matching lines "cryptsetup open [^/]*(/[^ ]+) ([^ ]+) .*"
          )
        )
      );
      arrays = matching lines "mdadm --create .*" != [ ];
      # Where the pool lies, what it is given, and what each dataset is.
      pools = map (
        groups:
        let
          words = lib.splitString " " (builtins.head groups);
        in
        {
          name = builtins.elemAt groups 1;
          # That of the installer is its own.
          options = lib.sort lib.lessThan (
            filter (word: builtins.match ".*=.*" word != null && word != "cachefile=none") words
          );
          on = [ (device (builtins.elemAt groups 2)) ];
          datasets = lib.sort lib.lessThan (
            map (groups: "${builtins.elemAt groups 1} ${builtins.head groups}") (matching lines "zfs create -o ([^ ]+) (.*)")
          );
        }
      ) (matching lines "zpool create (.*) ([^ ]+) ([^ ]+)");
      partitions = lib.sort lib.lessThan (lib.attrValues labels);
    };

  # What disko makes a system of.
  system =
    { layout, firmware, swap, ... }:
    let
      inherit
        (nixpkgs.lib.nixosSystem {
          modules = [
            flake.nixosModules.node
            {
              nixpkgs.hostPlatform = "x86_64-linux";
              netboot = {
                inherit layout firmware swap;
              };
            }
          ];
        })
        config
        ;
      # How long to wait for a device is the running system's business; `defaults` is no option.
      mountOption = option: !(lib.elem option [ "defaults" "nofail" ]) && !(lib.hasPrefix "x-systemd." option);
    in
    {
      mounts = lib.mapAttrs (_: at: {
        type = at.fsType;
        options = filter mountOption at.options;
        inherit (at) device;
      }) config.fileSystems;
      swap = map (one: one.device) config.swapDevices;
      encrypted = lib.mapAttrs (_: at: at.device) config.boot.initrd.luks.devices;
      arrays = config.boot.swraid.enable;
      pools =
        let
          written = options: lib.mapAttrsToList (name: value: "${name}=${value}") options;
        in
        map (pool: {
          inherit (pool) name;
          options = lib.sort lib.lessThan (written pool.options ++ written pool.rootFsOptions);
          on = concatMap (
            disk:
            concatMap (
              partition: lib.optional ((partition.content.pool or "") == pool.name) partition.device
            ) (lib.attrValues disk.content.partitions)
          ) (lib.attrValues config.disko.devices.disk);
          # Disko has one for the pool itself, which the pool brings with it.
          datasets = lib.sort lib.lessThan (
            map (one: "${one._name} ${toString (written one.options)}") (
              filter (one: one._createFilesystem) (lib.attrValues pool.datasets)
            )
          );
        }) (lib.attrValues config.disko.devices.zpool);
      partitions = lib.sort lib.lessThan (
        concatMap (disk: map (partition: partition.device) (lib.attrValues disk.content.partitions)) (
          lib.attrValues config.disko.devices.disk
        )
      );
      grub = config.boot.loader.grub.devices;
    };

  row =
    plan:
    let
      ours = agent plan.lines;
      theirs = system plan;
      differing = filter (part: ours.${part} != theirs.${part}) (builtins.attrNames ours);
    in
    lib.nameValuePair "disko: ${plan.layout} on ${plan.firmware}" (
      if differing == [ ] then
        true
      else
        builtins.trace "${plan.layout} on ${plan.firmware}: the agent and disko differ in ${toString differing}: ${
          builtins.toJSON {
            inherit ours theirs;
          }
        }" false
    );
in
listToAttrs (map row plans)
// {
  "disko: every plan that is written down is read" =
    lib.sort lib.lessThan (lib.unique (map (plan: plan.layout) plans))
    == builtins.attrNames (import ../../netboot/images/layouts.nix lib);
  "disko: the script of a table makes and mounts it on the disks that the agent names, and destroys nothing" =
    let
      inherit (flake.lib.systemsFrom ./lab) scripted;
      inherit (scripted.config.system.build.formatMount) name text;
      has = part: builtins.length (builtins.split part text) > 1;
    in
    name == "disko-format-mount"
    && builtins.all has [
      "sgdisk --clear \"/dev/disk/netboot/main\""
      "mkfs.btrfs \"/dev/disk/netboot/data\""
      "vgcreate \"pool\""
      "mount \"/dev/pool/root\" \"/mnt/\""
      "mount \"/dev/disk/by-partlabel/disk-main-ESP\" \"/mnt/boot\""
    ]
    && !(has "disk-deactivate")
    && scripted.config.fileSystems."/".device == "/dev/pool/root";
  "disko: a system for either firmware does not wait for an ESP, and the rest of its disk is there" = builtins.all (
    name:
    let
      inherit (flake.nixosConfigurations.${name}.config) fileSystems;
    in
    fileSystems."/".device == "/dev/disk/by-partlabel/disk-main-root"
    && fileSystems."/boot".device == "/dev/disk/by-partlabel/disk-main-ESP"
    && builtins.all (option: lib.elem option fileSystems."/boot".options) [ "umask=0077" "nofail" ]
  ) (builtins.attrNames flake.nixosConfigurations);
}
