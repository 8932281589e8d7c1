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
              encrypted = builtins.match "luks-.*" written.disk.layout != null;
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
