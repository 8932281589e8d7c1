# The options of `services.pxe-appliance.settings` as a tree of keys, as TOML has them; `*` is a name that the user chooses.
lib:
let
  inside =
    option:
    let
      # A list of tables has the keys of its tables.
      options = removeAttrs (option.type.getSubOptions [ ]) [
        "_module"
        "_freeformOptions"
      ];
      keys = builtins.mapAttrs (_: inside) options;
    in
    if options == { } then
      true
    else if option.type.name == "attrsOf" then
      { "*" = keys; }
    else
      keys;
  declared = import ../../appliance/options.nix {
    inherit lib;
    pkgs = import ./stub/pkgs.nix lib "x86_64-linux";
  };
in
inside declared.options.services.pxe-appliance.settings
