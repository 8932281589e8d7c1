# `config.netboot` → `disko.devices` of its layout for each firmware: by its name, or the profile's own table.
lib: cfg:
let
  layouts = import ./layouts.nix lib;
in
if cfg.devices != null then
  rec {
    uefi = import ./tables.nix lib cfg.devices;
    bios = uefi;
  }
else
  (layouts.${cfg.layout}
    or (throw "no layout is called `${cfg.layout}`; there are: ${toString (builtins.attrNames layouts)}")
  )
    cfg.swap
