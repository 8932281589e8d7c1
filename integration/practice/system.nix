# The practice system: a stand-in for a NixOS system, with the files and commands of a NixOS toplevel, built without nixpkgs.
#
# Names between @…@ in the scripts of toplevel/ are filled in here, as nixpkgs fills in its own templates.
{
  # Store paths that integration/practice/flake has added.
  busybox, # static, with a link for each applet
  kernel, # bzImage
  modules, # lib/modules/VERSION, load-order
  storage, # mdadm, cryptsetup, blkid, and where the kernel has it ZFS, for the first stage, with their libraries where the loader looks
  unlock, # the agent and systemd-cryptsetup for the first stage, the same way
  bootloaders, # systemd-boot's program; GRUB for BIOS with its libraries
  agent, # bin/netboot-agent
  k3s, # bin/k3s: a stand-in
  ballast, # directories of noise, so that copying a closure takes a while
  kernelVersion,
  label,
  kernelParams,
  encrypted, # whether the layout is
  mounts, # MOUNTPOINT LABEL FORMAT, a line each
  script, # what lays the disks out in place of the plan's commands, as a shell script; null for a plan's
}:
let
  bb = busybox;

  build =
    name: environment: script:
    derivation (
      {
        inherit name;
        system = "x86_64-linux";
        builder = "${bb}/bin/sh";
        args = [ "-euc" script ];
        PATH = "${bb}/bin";
      }
      // environment
    );

  fill =
    names: file:
    builtins.replaceStrings (map (n: "@${n}@") (builtins.attrNames names)) (builtins.attrValues names) (
      builtins.readFile file
    );

  parts = {
    inherit busybox modules bootloaders;
  };

  stage1 = build "practice-initrd-${kernelVersion}" {
    init = fill parts ./toplevel/stage-1.sh;
    lease = builtins.replaceStrings [ "@busybox@" ] [ "" ] (builtins.readFile ./lease.sh);
  } ''
    cp -r ${storage} root
    chmod -R u+w root
    ${if encrypted then "cp -r ${unlock}/. root/; chmod -R u+w root" else ""}
    mkdir -p root/proc root/sys root/dev root/run root/sysroot "$out"
    cp ${bb}/bin/busybox root/bin/
    ln -s busybox root/bin/sh
    mkdir -p root/lib
    cp -r ${modules}/lib/modules root/lib/
    printf '%s' "$init" >root/init
    printf '%s' "$lease" >root/bin/lease
    chmod 755 root/init root/bin/lease
    cd root
    # gzip -1: made in a blink, unpacked in a blink; the practice machines have the memory.
    find . -exec touch -h -d @1 {} +
    find . | sort | cpio -o -H newc | gzip -1 >"$out/initrd"
  '';

  # sw: what is in PATH on the installed machine.
  systemPath = build "practice-system-path" { } ''
    mkdir -p "$out/bin"
    for p in ${bb} ${agent} ${k3s}; do
      for f in $p/bin/*; do ln -sfn "$f" "$out/bin/''${f##*/}"; done
    done
  '';

  etc = build "practice-etc" {
    osRelease = ''
      NAME="NixOS (practice stand-in)"
      ID=nixos
      VERSION_ID="${label}"
      PRETTY_NAME="NixOS practice stand-in ${label}"
    '';
    inittab = ''
      ::sysinit:${systemPath}/bin/sh /run/current-system/practice/start-services
      ttyS0::respawn:${systemPath}/bin/sh /run/current-system/practice/login-prompt
      ::ctrlaltdel:${bb}/bin/reboot
      ::shutdown:${bb}/bin/umount -a -r
    '';
    profile = ''
      export PATH=/run/current-system/sw/bin
    '';
  } ''
    mkdir -p "$out/etc"
    printf '%s' "$osRelease" >"$out/etc/os-release"
    printf '%s' "$inittab" >"$out/etc/inittab"
    printf '%s' "$profile" >"$out/etc/profile"
    ln -s /proc/mounts "$out/etc/mtab"
  '';

  # Under the name, and with the program, that disko's has; its shell and tools are the installer's, its closure is not empty.
  format = build "disko-format-mount" {
    text = "#!/bin/bash\nPATH=$PATH:${bb}/bin\n${script}";
  } ''
    mkdir -p "$out/bin"
    printf '%s' "$text" >"$out/bin/disko-format-mount"
    chmod 755 "$out/bin/disko-format-mount"
  '';
in
build "nixos-system-practice-${label}" {
  init = fill parts ./toplevel/stage-2.sh;
  activate = fill (parts // { etc = "${etc}"; systemPath = "${systemPath}"; }) ./toplevel/activate.sh;
  switch = fill (parts // { inherit kernelVersion; }) ./toplevel/switch-to-configuration.sh;
  services = fill parts ./toplevel/start-services.sh;
  prompt = fill parts ./toplevel/login-prompt.sh;
  renew = fill parts ./toplevel/renew.sh;
  lease = fill parts ./lease.sh;
  inherit label kernelParams mounts;
} ''
  mkdir -p "$out/bin" "$out/practice"
  script() { printf '%s' "$1" | sed "s|@out@|$out|g" >"$2"; chmod 755 "$2"; }
  script "$init" "$out/init"
  script "$activate" "$out/activate"
  script "$switch" "$out/bin/switch-to-configuration"
  script "$services" "$out/practice/start-services"
  script "$prompt" "$out/practice/login-prompt"
  script "$renew" "$out/practice/renew"
  script "$lease" "$out/practice/lease"

  ln -s ${kernel}/bzImage "$out/kernel"
  ln -s ${stage1}/initrd "$out/initrd"
  ln -s ${modules} "$out/kernel-modules"
  ln -s ${etc}/etc "$out/etc"
  ln -s ${systemPath} "$out/sw"
  printf '%s' "$kernelParams" >"$out/kernel-params"
  printf '%s\n' "$mounts" >"$out/practice/mounts"
  printf '%s' "$label" >"$out/nixos-version"
  printf '%s' x86_64-linux >"$out/system"
  ${if script == null then "" else "mkdir $out/netboot; ln -s ${format} $out/netboot/format"}
  printf '%s' 10 >"$out/init-interface-version"
  # References alone pull these into the closure, as extraDependencies do in NixOS.
  echo ${toString ballast} >"$out/extra-dependencies"

  params=
  for p in $kernelParams; do params="$params''${params:+,}\"$p\""; done
  cat >"$out/boot.json" <<JSON
  {"org.nixos.bootspec.v1":{"init":"$out/init","initrd":"${stage1}/initrd","kernel":"${kernel}/bzImage","kernelParams":[$params],"label":"NixOS practice stand-in $label (Linux ${kernelVersion})","system":"x86_64-linux","toplevel":"$out"},"org.nixos.specialisation.v1":{}}
  JSON
''
