# The three programs, each a static binary: the agent runs in an installer and on nodes that share no library with this build.
pkgs:
let
  inherit (pkgs) lib;
  files = lib.fileset;

  program =
    {
      name,
      crate,
      description,
    }:
    pkgs.pkgsStatic.rustPlatform.buildRustPackage {
      pname = name;
      version = (lib.importTOML ../../Cargo.toml).workspace.package.version;
      # No file of Nix: a change of a role is no reason to compile.
      src = files.toSource {
        root = ../..;
        fileset = files.intersection (files.fileFilter (file: !file.hasExt "nix") ../..) (
          files.unions [
            ../../Cargo.toml
            ../../Cargo.lock
            ../../.config
            ../../netboot
            ../../appliance
            ../../integration
          ]
        );
      };
      cargoLock.lockFile = ../../Cargo.lock;
      cargoBuildFlags = [
        "--package=${crate}"
        "--bin=${name}"
      ];
      # The tests have a check of their own, once for all programs.
      doCheck = false;
      meta = {
        inherit description;
        mainProgram = name;
        license = with lib.licenses; [
          mit
          asl20
        ];
        platforms = lib.platforms.linux;
      };
    };
in
{
  pxe-appliance = program {
    name = "pxe-appliance";
    crate = "appliance";
    description = "Netboot service: DHCP, TFTP, HTTP, signed cache";
  };
  pxe-admin = program {
    name = "pxe-admin";
    crate = "pxe-admin";
    description = "Command line of the netboot service";
  };
  netboot-agent = program {
    name = "netboot-agent";
    crate = "netboot-agent";
    description = "Installs a machine as the appliance plans it, and reports what it boots";
  };
}
