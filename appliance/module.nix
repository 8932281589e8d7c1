# nixosModules.appliance: `services.pxe-appliance`, every option of appliance.toml typed, in a unit that may do little.
self:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.pxe-appliance;
  packages = self.packages.${pkgs.stdenv.hostPlatform.system};
  toml = pkgs.formats.toml { };

  # Files of secrets, by their place in the settings. systemd reads them as root and hands them to the unit, whose own
  # user may not; the settings that the service sees name that copy.
  secrets =
    lib.filterAttrs (_: file: file != null) {
      k3s-token = cfg.settings.k3s.token-file;
      k3s-agent-token = cfg.settings.k3s.agent-token-file;
      admin-token = cfg.settings.admin.token-file;
      flake-ssh-key = cfg.flakeSshKeyFile;
    };
  handed = name: if secrets ? ${name} then "/run/credentials/pxe-appliance.service/${name}" else null;
  settings =
    lib.recursiveUpdate cfg.settings {
      k3s.token-file = handed "k3s-token";
      k3s.agent-token-file = handed "k3s-agent-token";
      admin.token-file = handed "admin-token";
    }
    // lib.optionalAttrs (cfg.lans != [ ]) { lan = cfg.lans; };

  # Below these the unit sees nothing (`ProtectHome`). What it is told to read there, it would not find.
  inHome =
    place:
    lib.any (folder: lib.hasPrefix folder place) [
      "/home/"
      "/root/"
      "/run/user/"
    ];
  flake = if cfg.settings.flake != null then cfg.settings.flake else "";
  flakeFolder = lib.removePrefix "git+file://" (lib.removePrefix "path:" flake);
  hostsDir = cfg.settings.hosts-dir;

  # TOML has no null: what is not set is not written, and the service's own default holds.
  written =
    value:
    if lib.isAttrs value then
      lib.filterAttrs (_: inner: inner != null && inner != { }) (lib.mapAttrs (_: written) value)
    else if lib.isList value then
      map written value
    else
      value;
  file = toml.generate "appliance.toml" (written settings);

  # --- the firewall ---
  lans = if cfg.lans != [ ] then cfg.lans else [ cfg.settings.lan ];
  # Where all of them are named; a LAN that is given by its address, or found, may be on any interface.
  interfaces =
    if lib.all (lan: lan.interface != null) lans then map (lan: lan.interface) lans else [ ];
  doors = {
    # TFTP, whose data comes back on connections that are known by then; DHCP, and the second door of PXE.
    allowedUDPPorts =
      lib.optional (cfg.settings.dhcp.mode != "off") 67
      ++ [ 69 ]
      ++ lib.optional (cfg.settings.dhcp.mode != "off") 4011;
    allowedTCPPorts = lib.filter (port: port != 0) [
      cfg.settings.http.port
      cfg.settings.http.node-port
    ];
  };

  # `admin.listen` is an address of whichever card: that of a LAN whose address is written as well, else it is not known here.
  listen = lib.splitString ":" (
    if cfg.settings.admin.listen != null then cfg.settings.admin.listen else ":0"
  );
  admin = lib.filter (port: port != 0) [ (lib.toInt (lib.last listen)) ];
  sameAddress = lib.filter (lan: lan.interface != null && lan.address == lib.head listen) lans;
  adminAnywhere = cfg.adminInterfaces == null && sameAddress == [ ];
  adminInterfaces =
    if cfg.adminInterfaces != null then
      cfg.adminInterfaces
    else
      map (lan: lan.interface) sameAddress;

  # All ports of one place: the same interface may be a LAN and the admins'.
  at = name: {
    allowedUDPPorts = lib.optionals (lib.elem name interfaces) doors.allowedUDPPorts;
    allowedTCPPorts =
      lib.optionals (lib.elem name interfaces) doors.allowedTCPPorts
      ++ lib.optionals (lib.elem name adminInterfaces) admin;
  };
  named = lib.unique (interfaces ++ lib.optionals (admin != [ ]) adminInterfaces);
in
{
  imports = [ ./options.nix ];

  options.services.pxe-appliance = {
    enable = lib.mkEnableOption "the netboot appliance";

    package = lib.mkOption {
      type = lib.types.package;
      default = packages.pxe-appliance;
      defaultText = lib.literalMD "`pxe-appliance` of this flake";
      description = "The package with the service.";
    };

    adminPackage = lib.mkOption {
      type = lib.types.package;
      default = packages.pxe-admin;
      defaultText = lib.literalMD "`pxe-admin` of this flake";
      description = "The package with the command line.";
    };

    installers = lib.mkOption {
      type = lib.types.listOf lib.types.package;
      default = [ packages.installer ];
      defaultText = lib.literalMD "the `installer` of this flake for the appliance's own architecture";
      description = "Installer images to serve, at most one for each architecture.";
    };

    openFirewall = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = ''
        Whether to open UDP 69, with `dhcp.mode` other than `off` also 67 and 4011, and the HTTP ports: on the interfaces of
        the LANs if each of them has its `interface`, else on every interface. For the port of `admin.listen` see
        `adminInterfaces`.
      '';
    };

    adminInterfaces = lib.mkOption {
      type = lib.types.nullOr (lib.types.listOf lib.types.str);
      default = null;
      example = [ "enp2s0" ];
      description = ''
        The interfaces on which `openFirewall` opens the port of `admin.listen`. If it is not set: that of the LAN which has
        the address of `admin.listen` as its `address`, with its `interface`; else every interface, since the address may be
        on any card.
      '';
    };
  };

  config = lib.mkIf cfg.enable {
    services.pxe-appliance.settings = {
      boot.ipxe-dir = lib.mkDefault "${packages.ipxe}";
      images = lib.listToAttrs (
        map (
          image:
          lib.nameValuePair "installer-${lib.replaceStrings [ "_" ] [ "-" ] image.arch}" {
            kernel = "${image}/kernel";
            initrd = "${image}/initrd";
            inherit (image) cmdline arch;
          }
        ) cfg.installers
      );
    };

    assertions = [
      {
        # A path must exist when the service starts; a URL is opened only to follow it.
        assertion = !(inHome flake || cfg.settings.publish.watch != null && inHome flakeFolder);
        message = ''
          services.pxe-appliance.settings.flake: the service sees nothing below /home, /root and /run/user
          tip: give it a URL, such as "git+ssh://git@example.org/lab" with flakeSshKeyFile, or a folder elsewhere'';
      }
      {
        # As a path of Nix it goes into the store.
        assertion = !(builtins.isString hostsDir && inHome hostsDir);
        message = ''
          services.pxe-appliance.settings.hosts-dir: the service sees nothing below /home, /root and /run/user
          tip: name it as a path of the flake, without quotes: hosts-dir = ./hosts/profiles;'';
      }
    ];

    # The service as well: `pxe-appliance check` is for whoever edits what it reads.
    environment.systemPackages = [
      cfg.package
      cfg.adminPackage
    ];
    environment.etc."pxe-appliance/appliance.toml".source = file;

    # Who is in this group may use `pxe-admin`: the socket is theirs.
    users.groups.pxe-admin = { };

    networking.firewall = lib.mkIf cfg.openFirewall (
      lib.mkMerge [
        (lib.mkIf (interfaces == [ ]) doors)
        (lib.mkIf adminAnywhere { allowedTCPPorts = admin; })
        { interfaces = lib.genAttrs named at; }
      ]
    );

    systemd.services.pxe-appliance = {
      description = "Netboot appliance";
      wantedBy = [ "multi-user.target" ];
      # It asks the interface for its address.
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      # `publish` copies closures with the machine's own Nix, which fetches flakes with Git.
      path = [
        config.nix.package
        pkgs.gitMinimal
      ];
      environment = {
        # Nix's caches, and Git's `.netrc`.
        HOME = "/var/lib/pxe-appliance";
      }
      // lib.optionalAttrs (cfg.flakeSshKeyFile != null) {
        # OpenSSH looks for its files in the home of the user's record, which has none.
        GIT_SSH_COMMAND = toString [
          "${pkgs.openssh}/bin/ssh"
          "-i ${handed "flake-ssh-key"}"
          "-o IdentitiesOnly=yes"
          "-o BatchMode=yes"
          "-o UserKnownHostsFile=/var/lib/pxe-appliance/known_hosts"
          "-o StrictHostKeyChecking=accept-new"
        ];
      };
      serviceConfig = import ../netboot/images/hardened.nix // {
        Type = "notify";
        ExecStart = "${cfg.package}/bin/pxe-appliance serve --config ${file}";
        ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
        Restart = "on-failure";
        RestartSec = "2s";
        # A sign of life comes only through the store; a slow disk may take its time.
        WatchdogSec = "2min";
        LoadCredential = lib.mapAttrsToList (name: path: "${name}:${path}") secrets;

        DynamicUser = true;
        Group = "pxe-admin";
        StateDirectory = "pxe-appliance";
        StateDirectoryMode = "0700";
        RuntimeDirectory = "pxe-appliance";
        RuntimeDirectoryMode = "0750";
        LimitCORE = 0;

        # Ports below 1024, one interface; frames to a client that has no address yet.
        AmbientCapabilities = [
          "CAP_NET_BIND_SERVICE"
          "CAP_NET_RAW"
        ];
        CapabilityBoundingSet = [
          "CAP_NET_BIND_SERVICE"
          "CAP_NET_RAW"
        ];
        RestrictAddressFamilies = [
          "AF_INET"
          "AF_INET6"
          "AF_UNIX"
          "AF_PACKET"
          "AF_NETLINK"
        ];

        # Not ProcSubset: which ports are taken, by what kind of firewall, and which card has an address, is told
        # by /proc/net.
        ProtectProc = "invisible";
        # Nix tries to raise its own limits and lives without: refused, not killed.
        SystemCallErrorNumber = "EPERM";
      };
    };
  };
}
