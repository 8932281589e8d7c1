# An address on whichever card has a cable: for the installer and for the systems that it installs.
{ lib, ... }:
{
  networking.useNetworkd = true;
  # Networks of our own below; the ones made from this would ask with another client identifier.
  networking.useDHCP = false;

  systemd.network = {
    networks."40-lan" = {
      # Cards, not the bridges and tunnels of a cluster.
      matchConfig = {
        Type = "ether";
        Kind = "!*";
      };
      networkConfig.DHCP = lib.mkDefault "yes";
      # Firmware, iPXE and installer ask by MAC too: one machine, one lease (RFC 2132 §9.14).
      dhcpV4Config.ClientIdentifier = "mac";
    };
    # A box with four sockets and one cable is online.
    wait-online.anyInterface = true;
  };
}
