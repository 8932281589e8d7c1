# `services.pxe-appliance`: what its options become: rows for tests.nix.
{
  lib,
  nixpkgs,
  flake,
  # Whether a value cannot be had, and whether nobody set it.
  fails,
  absent,
}:
let
  appliance = settings: with' { inherit settings; };
  with' =
    options:
    (nixpkgs.lib.nixosSystem {
      modules = [
        flake.nixosModules.appliance
        {
          nixpkgs.hostPlatform = "x86_64-linux";
          services.pxe-appliance = {
            enable = true;
          }
          // options;
        }
      ];
    }).config;
  written = settings: (appliance settings).environment.etc."pxe-appliance/appliance.toml".source.value;
  sample = builtins.fromTOML (builtins.readFile ../../appliance/src/config/samples/server.toml);

  # The paths of all keys of a TOML document, tables that the user names left out.
  keys =
    prefix: table:
    lib.concatMapAttrs (
      name: value:
      let
        path = "${prefix}${name}";
      in
      if builtins.isList value && value != [ ] && builtins.isAttrs (builtins.head value) then
        keys "${path}." (builtins.head value)
      else if name == "reservations" || !builtins.isAttrs value then
        { ${path} = true; }
      else
        keys "${if path == "images.installer" then "images.*" else path}." value
    ) table;

  open = doors: doors.allowedUDPPorts ++ doors.allowedTCPPorts;
  unit = (appliance { }).systemd.services.pxe-appliance.serviceConfig;
in
{
  "every key of the sample has a typed option" =
    let
      declared = builtins.attrNames (keys "" (import ./option-keys.nix lib));
    in
    builtins.all (key: builtins.elem key declared) (builtins.attrNames (keys "" sample));
  "the sample goes in and comes out" =
    let
      settings = sample // {
        k3s = removeAttrs sample.k3s [ "token-file" ];
        admin = removeAttrs sample.admin [ "token-file" ];
        images = { };
        # The sample's is beside its file.
        flake = "git+https://example.org/lab";
      };
      out = written settings;
    in
    removeAttrs out [ "images" ] == removeAttrs settings [ "images" ];
  "without settings only what the module knows is written" =
    written { } == {
      boot.ipxe-dir = "/stub/ipxe-loaders";
      http = {
        port = 8080;
        node-port = 8443;
      };
      images.installer-x86-64 = {
        kernel = "/stub/netboot-installer-x86_64/kernel";
        initrd = "/stub/netboot-installer-x86_64/initrd";
        cmdline = "init=/stub/toplevel-unnamed/init noresume console=ttyS0,115200 console=tty0";
        arch = "x86_64";
      };
    };
  "the admin's token is handed over as well" =
    let
      config = appliance { admin.token-file = "/etc/pxe-appliance/admin.token"; };
    in
    config.systemd.services.pxe-appliance.serviceConfig.LoadCredential
      == [ "admin-token:/etc/pxe-appliance/admin.token" ]
    && config.environment.etc."pxe-appliance/appliance.toml".source.value.admin.token-file
      == "/run/credentials/pxe-appliance.service/admin-token";
  "a secret is handed over, and never in the store" =
    let
      config = appliance { k3s.token-file = "/etc/pxe-appliance/k3s.token"; };
    in
    config.systemd.services.pxe-appliance.serviceConfig.LoadCredential == [ "k3s-token:/etc/pxe-appliance/k3s.token" ]
    && config.environment.etc."pxe-appliance/appliance.toml".source.value.k3s.token-file
      == "/run/credentials/pxe-appliance.service/k3s-token";
  "a secret of the store is refused" = fails (written { k3s.token-file = "${builtins.storeDir}/00000000000000000000000000000000-token"; });
  "a flake is a URL or an absolute path, since beside the module's file there is none" =
    let
      takes = flake: !(fails (written { inherit flake; }).flake);
    in
    builtins.all takes [ "git+https://example.org/lab" "git+ssh://git@example.org/lab?ref=main" "github:me/lab" "/srv/lab" ]
    && !(builtins.any takes [ "." "./lab" "lab" "/srv/lab#worker" "" ])
    && fails (written { flake = ./lab; });
  "what the service would not see is refused" =
    let
      good = settings: builtins.all (one: one.assertion) (appliance settings).assertions;
      watched = flake: {
        inherit flake;
        publish.watch = "5m";
      };
    in
    builtins.all good [
      { }
      { flake = "/srv/lab"; }
      (watched "git+ssh://git@example.org/home/lab")
      # Read by `pxe-admin` alone.
      { flake = "git+file:///home/me/lab"; }
      { hosts-dir = ./lab/profiles; }
    ]
    && !(builtins.any good [
      { flake = "/home/me/lab"; }
      (watched "git+file:///home/me/lab")
      (watched "path:/root/lab")
      { hosts-dir = "/home/me/lab/hosts/profiles"; }
    ]);
  "the key for the flake is handed over, and ssh is told where its files are" =
    let
      keyed = with' { flakeSshKeyFile = "/etc/pxe-appliance/flake.key"; };
      service = keyed.systemd.services.pxe-appliance;
      words = lib.splitString " " service.environment.GIT_SSH_COMMAND;
    in
    service.serviceConfig.LoadCredential == [ "flake-ssh-key:/etc/pxe-appliance/flake.key" ]
    && builtins.head words == "/stub/openssh/bin/ssh"
    && builtins.all (word: builtins.elem word words) [
      "/run/credentials/pxe-appliance.service/flake-ssh-key"
      "UserKnownHostsFile=/var/lib/pxe-appliance/known_hosts"
      "StrictHostKeyChecking=accept-new"
    ]
    && service.environment.HOME == "/var/lib/pxe-appliance"
    && !((appliance { }).systemd.services.pxe-appliance.environment ? GIT_SSH_COMMAND);
  "the key for the flake is never of the store" =
    fails (with' {
      flakeSshKeyFile = "${builtins.storeDir}/00000000000000000000000000000000-key";
    }).systemd.services.pxe-appliance.serviceConfig.LoadCredential;
  "a wrong type is refused" = fails (written { http.port = "8080"; });
  "a mode that does not exist is refused" = fails (written { dhcp.mode = "relay"; });
  "a key of a newer service is passed on" =
    (written { boot.newer = true; }).boot.newer;
  "the doors are open on the LAN's interface only" =
    let
      inherit ((appliance { lan.interface = "enp1s0"; }).networking) firewall;
    in
    open firewall.interfaces.enp1s0 == [ 67 69 4011 8080 8443 ] && open firewall == [ ];
  "several LANs are a list, and each has its doors" =
    let
      config = with' {
        lans = [
          { interface = "enp1s0"; }
          {
            interface = "enp2s0";
            address = "10.78.0.1";
          }
        ];
      };
    in
    config.environment.etc."pxe-appliance/appliance.toml".source.value.lan == [
      { interface = "enp1s0"; }
      {
        interface = "enp2s0";
        address = "10.78.0.1";
      }
    ]
    && builtins.attrNames config.networking.firewall.interfaces == [ "enp1s0" "enp2s0" ];
  "a subnet without a network is refused" = fails (written { dhcp.subnet = [ { router = "10.78.0.1"; } ]; });
  "without an interface they are open on all, and admin's too if it listens" =
    let
      inherit ((appliance { admin.listen = "10.77.0.1:8444"; }).networking) firewall;
    in
    open firewall == [ 67 69 4011 8080 8443 8444 ] && firewall.interfaces == { };
  "a LAN that is given by its address alone may be anywhere, and so are the doors" =
    let
      inherit
        ((with' {
          lans = [
            { interface = "enp1s0"; }
            { address = "10.78.0.1"; }
          ];
        }).networking
        )
        firewall
        ;
    in
    open firewall == [ 67 69 4011 8080 8443 ] && firewall.interfaces == { };
  "where no DHCP is answered, its doors are shut" =
    open (appliance { dhcp.mode = "off"; }).networking.firewall == [ 69 8080 8443 ];
  "the admins' door is on the LAN whose address it is" =
    let
      inherit
        ((with' {
          settings.admin.listen = "10.78.0.1:8444";
          lans = [
            { interface = "enp1s0"; }
            {
              interface = "enp2s0";
              address = "10.78.0.1";
            }
          ];
        }).networking
        )
        firewall
        ;
    in
    open firewall == [ ]
    && open firewall.interfaces.enp1s0 == [ 67 69 4011 8080 8443 ]
    && open firewall.interfaces.enp2s0 == [ 67 69 4011 8080 8443 8444 ];
  "on an address of another card the admins' door is open where it listens, which is anywhere unless it is said" =
    let
      settings = {
        lan.interface = "enp1s0";
        admin.listen = "192.168.1.2:8444";
      };
      anywhere = (appliance settings).networking.firewall;
      said =
        (with' {
          inherit settings;
          adminInterfaces = [ "enp9s0" ];
        }).networking.firewall;
      shut =
        (with' {
          inherit settings;
          adminInterfaces = [ ];
        }).networking.firewall;
      lan = [ 67 69 4011 8080 8443 ];
    in
    open anywhere == [ 8444 ]
    && open anywhere.interfaces.enp1s0 == lan
    && open said == [ ]
    && open said.interfaces.enp1s0 == lan
    && open said.interfaces.enp9s0 == [ 8444 ]
    && open shut == [ ]
    && builtins.attrNames shut.interfaces == [ "enp1s0" ];
  "the unit may bind ports and send frames, and nothing else of root's" =
    unit.CapabilityBoundingSet == [ "CAP_NET_BIND_SERVICE" "CAP_NET_RAW" ]
    && unit.AmbientCapabilities == unit.CapabilityBoundingSet
    && unit.DynamicUser
    && unit.ProtectSystem == "strict"
    && unit.UMask == "0077";
  "both programs can be run by hand" =
    map (package: package.pname) (appliance { }).environment.systemPackages == [ "pxe-appliance" "pxe-admin" ];
  "the service is not there unless enabled" = absent ((nixpkgs.lib.nixosSystem {
    modules = [
      flake.nixosModules.appliance
      { nixpkgs.hostPlatform = "x86_64-linux"; }
    ];
  }).config.systemd.services.pxe-appliance or null);
}
