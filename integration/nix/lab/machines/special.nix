# One machine's own.
{ lib, ... }:
{
  options.test.own = lib.mkOption {
    type = lib.types.bool;
    description = "Says that this module was used.";
  };
  config.test.own = true;
}
