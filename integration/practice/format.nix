# `[disk.devices]` → a script that makes and mounts it: a stand-in for the one that disko makes. Of disko's schema it knows GPTs,
# filesystems, LVM and the hooks; and like disko it goes on with what it finds by its name, and activates all of LVM.
devices:
let
  concat = builtins.concatStringsSep "";
  # Those that take all that is left come last.
  named =
    set:
    let
      all = map (name: set.${name} // { inherit name; }) (builtins.attrNames set);
      fills = one: one.size or "" == "100%";
    in
    builtins.filter (one: !fills one) all ++ builtins.filter fills all;

  guids = {
    EF00 = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
    EF02 = "21686148-6449-6E6F-744E-656564454649";
  };
  linux = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";
  label = disk: part: part.label or "disk-${disk}-${part.name}";

  # Each in a shell of its own, as with disko: a hook may leave early.
  inside = hook: part: text: "(\n${part."pre${hook}Hook" or ""}\n${text}\n${part."post${hook}Hook" or ""}\n)\n";

  row =
    disk: part:
    let
      size = if part.size == "100%" then "" else "size=${part.size}iB, ";
    in
    "${size}type=${guids.${part.type or ""} or linux}, name=\"${label disk part}\"\n";

  make =
    device: content:
    inside "Create" content (
      {
        filesystem = "mkfs.${content.format or ""} ${toString (content.extraArgs or [ ])} ${device}";
        lvm_pv = "pvcreate --yes ${device}\necho ${device} >>\"$work/${content.vg or ""}\"";
      }
      .${content.type} or (throw "the practice system knows no content of the type ${content.type}")
    );
  makeAll =
    device: all:
    concat (map (one: if one ? content then make (device one) one.content else "") all);

  disk =
    name:
    let
      parts = named devices.disk.${name}.content.partitions;
    in
    ''
      sfdisk --quiet --wipe always /dev/disk/netboot/${name} <<TABLE
      label: gpt
      ${concat (map (row name) parts)}TABLE
      udevadm settle
      ${makeAll (part: "/dev/disk/by-partlabel/${label name part}") parts}
    '';

  groups = devices.lvm_vg or { };
  volumes = group: named groups.${group}.lvs;
  group = name: ''
    vgdisplay ${name} >/dev/null 2>&1 || vgcreate ${name} $(cat "$work/${name}")
    ${concat (
      map (
        lv: "lvcreate --yes ${if lv.size == "100%" then "-l 100%FREE" else "-L ${lv.size}"} -n ${lv.name} ${name}\n"
      ) (volumes name)
    )}
    udevadm settle
    ${makeAll (lv: "/dev/${name}/${lv.name}") (volumes name)}
  '';

  # Those further up first.
  mounts =
    let
      of = device: one: if one.content.mountpoint or null == null then [ ] else [ { inherit device; inherit (one) content; } ];
      ofDisk =
        name:
        builtins.concatMap (part: of "/dev/disk/by-partlabel/${label name part}" part) (
          named devices.disk.${name}.content.partitions
        );
      ofGroup = name: builtins.concatMap (lv: of "/dev/${name}/${lv.name}" lv) (volumes name);
      all =
        builtins.concatMap ofDisk (builtins.attrNames devices.disk)
        ++ builtins.concatMap ofGroup (builtins.attrNames groups);
    in
    builtins.sort (a: b: a.content.mountpoint < b.content.mountpoint) all;
  mount =
    { device, content }:
    inside "Mount" content "mkdir -p /mnt${content.mountpoint}\nmount -t ${content.format} ${device} /mnt${content.mountpoint}";
in
''
  set -eux
  work=$(mktemp -d)
  ${concat (map disk (builtins.attrNames devices.disk))}
  ${concat (map group (builtins.attrNames groups))}
  ${if groups == { } then "" else "vgchange --activate y"}
  ${concat (map mount mounts)}
''
