# lib.installer: what the appliance serves to a machine that installs, one directory with `kernel`, `initrd`, `cmdline` and
# `arch`. All of one build: `init=` names a path that only this initrd has. `more`: NixOS modules, like
# `{ netboot.installer.zfs = true; }`.
{ self, nixpkgs, ... }:
system: more:
let
  pkgs = nixpkgs.legacyPackages.${system};
  inherit
    (nixpkgs.lib.nixosSystem {
      modules = [
        self.nixosModules.installer
        { nixpkgs.hostPlatform = system; }
      ]
      ++ more;
    })
    config
    ;
  inherit (config.system) build;
  # As `uname -m` says it.
  arch = pkgs.stdenv.hostPlatform.parsed.cpu.name;
in
pkgs.runCommand "netboot-installer-${arch}"
  {
    inherit arch;
    # The system lies inside the initrd: whoever has this directory does not need it in a store as well.
    cmdline = builtins.unsafeDiscardStringContext "init=${build.toplevel}/init ${toString config.boot.kernelParams}";
  }
  ''
    mkdir "$out"
    cp ${build.kernel}/${config.system.boot.loader.kernelFile} "$out/kernel"
    cp ${build.netbootRamdisk}/initrd "$out/initrd"
    printf %s "$cmdline" >"$out/cmdline"
    printf %s "$arch" >"$out/arch"
  ''
