# The practice lab: the shape of a lab of one's own (hosts/template), with practice systems in place of NixOS. It has no inputs,
# so that it is built where nixpkgs cannot be had.
{
  description = "A practice lab";

  outputs =
    { self }:
    let
      # In the store already: by its hash a pure evaluation takes it from there.
      part =
        { path, sha256 }:
        builtins.path {
          inherit path sha256;
          name = builtins.substring 33 (-1) (baseNameOf path);
          recursive = true;
        };
      given = builtins.fromJSON (builtins.readFile ./parts.json);
      parts = {
        inherit (given) kernelVersion;
        busybox = part given.busybox;
        kernel = part given.kernel;
        modules = part given.modules;
        storage = part given.storage;
        unlock = part given.unlock;
        bootloaders = part given.bootloaders;
        agent = part given.agent;
        k3s = part given.k3s;
        ballast = map part given.ballast;
      };

      # What a profile's own table mounts beside what each layout has: MOUNTPOINT LABEL FORMAT, those further up first.
      mountsOf =
        devices:
        let
          ofDisk =
            disk:
            let
              inherit (devices.disk.${disk}.content) partitions;
              of =
                name:
                let
                  partition = partitions.${name};
                  content = partition.content or { };
                  at = content.mountpoint or "/";
                in
                if content.type or "" != "filesystem" || builtins.elem at [ "/" "/boot" "/boot-second" ] then
                  [ ]
                else
                  [ "${at} ${partition.label or "disk-${disk}-${name}"} ${content.format}" ];
            in
            builtins.concatMap of (builtins.attrNames partitions);
          all = builtins.concatMap ofDisk (builtins.attrNames (devices.disk or { }));
        in
        builtins.concatStringsSep "\n" (builtins.sort builtins.lessThan all);

      system =
        file:
        let
          written = builtins.fromTOML (builtins.readFile (./hosts/profiles + "/${file}"));
          params = [
            "console=ttyS0"
            "panic=30"
            "loglevel=4"
            "cryptomgr.notests"
          ];
        in
        {
          config.system.build.toplevel = import ./practice/system.nix (
            parts
            // {
              label = builtins.replaceStrings [ "\n" ] [ "" ] (builtins.readFile ./label);
              encrypted = builtins.match ".*luks.*" (builtins.toJSON [ (written.disk.layout or "") (written.disk.devices or { }) ]) != null;
              # One that disko made may lie beside this file.
              script =
                if written.disk.engine or "plan" != "disko" then
                  null
                else if builtins.pathExists ./disko-script then
                  builtins.readFile ./disko-script
                else
                  import ./practice/format.nix written.disk.devices;
              mounts = mountsOf (written.disk.devices or { });
              kernelParams = toString (params ++ (written.nixos.kernel-params or [ ]));
            }
          );
        };
      profiles = builtins.filter (file: builtins.match ".*[.]toml" file != null) (
        builtins.attrNames (builtins.readDir ./hosts/profiles)
      );
    in
    {
      nixosConfigurations = builtins.listToAttrs (
        map (file: {
          name = builtins.head (builtins.match "(.*)[.]toml" file);
          value = system file;
        }) profiles
      );

      packages.x86_64-linux.installer = derivation {
        name = "netboot-installer-x86_64";
        system = "x86_64-linux";
        builder = "${parts.busybox}/bin/sh";
        args = [
          "-euc"
          "mkdir $out; cd $out; for f in kernel initrd cmdline arch; do ln -s ${part given.installer}/$f; done"
        ];
        PATH = "${parts.busybox}/bin";
      };
    };
}
