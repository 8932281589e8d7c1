# The options of NixOS that this flake and its tests set, with the types that NixOS gives them.
#
# With nixpkgs' own `lib` the list is exact: a name that is not here, or a value of another type, stops the evaluation.
# netboot/images/README.md says in which file of nixpkgs each was looked up.
{
  config,
  extendModules,
  lib,
  ...
}:
let
  inherit (lib.types)
    anything
    attrsOf
    bool
    either
    enum
    int
    lines
    listOf
    nullOr
    package
    path
    port
    singleLineStr
    str
    submodule
    ;
  declare =
    more: type:
    lib.mkOption (
      {
        inherit type;
        description = "Stands for the option of NixOS.";
      }
      // more
    );
  # Who asks for it must have set it.
  set = declare { };
  or' = default: declare { inherit default; };
  on = or' false bool;
  list = type: or' [ ] (listOf type);
  table = options: attrsOf (submodule { inherit options; });

  derivation = name: {
    type = "derivation";
    inherit name;
    outPath = "/stub/${name}";
    drvPath = "${builtins.storeDir}/00000000000000000000000000000000-${name}.drv";
  };

  # A section of a unit: a key has one value, or a list of them for one line each.
  section = or' { } (attrsOf (either (listOf atom) atom));
  # A section whose keys are known.
  keys = types: or' { } (submodule { options = lib.mapAttrs (_: type: or' null (nullOr type)) types; });
  atom = nullOr (either bool (either int (either path str)));

  services = or' { } (table {
    description = or' "" singleLineStr;
    wantedBy = list str;
    wants = list str;
    before = list str;
    conflicts = list str;
    after = list str;
    path = list (either package str);
    environment = or' { } (attrsOf (nullOr str));
    unitConfig = section;
    serviceConfig = section;
  });
  # NixOS knows the keys of these sections and looks at their values, too.
  networks = or' { } (table {
    matchConfig = section;
    linkConfig = keys { RequiredForOnline = enum [ "no" "carrier" "degraded" "enslaved" "routable" ]; };
    networkConfig = keys {
      Bridge = str;
      DHCP = enum [ "yes" "no" "ipv4" "ipv6" ];
    };
    dhcpV4Config = keys { ClientIdentifier = enum [ "mac" "duid" ]; };
  });

  ports = {
    allowedTCPPorts = list port;
    allowedUDPPorts = list port;
    allowedTCPPortRanges = list (attrsOf port);
  };
in
{
  options = {
    assertions = list anything;

    boot = {
      # Spaces only inside of double quotes.
      kernelParams = list (lib.types.strMatching "([^\"[:space:]]|\"[^\"]*\")+");
      kernelPackages = set anything;
      resumeDevice = or' "" str;
      supportedFilesystems = or' { } (attrsOf bool);
      zfs = {
        package = or' (derivation "zfs") package;
        devNodes = or' "/dev/disk/by-id" path;
        forceImportRoot = or' true bool;
      };
      bcache.enable = or' true bool;
      initrd = {
        luks.devices = or' { } (table {
          device = set path;
        });
        services.lvm.enable = or' true bool;
        availableKernelModules = list str;
        kernelModules = list str;
        systemd = {
          enable = or' true bool;
          tpm2.enable = or' true bool;
          storePaths = list (either package str);
          extraBin = or' { } (attrsOf path);
          network = {
            enable = on;
            inherit networks;
          };
          inherit services;
        };
      };
      swraid = {
        enable = on;
        mdadmConf = or' "" lines;
      };
      loader = {
        timeout = or' 5 (nullOr int);
        efi.canTouchEfiVariables = on;
        external = {
          enable = on;
          installHook = set path;
        };
        systemd-boot = {
          enable = on;
          configurationLimit = or' null (nullOr int);
          extraInstallCommands = or' "" lines;
        };
        grub = {
          enable = on;
          efiSupport = on;
          configurationLimit = or' 100 int;
          devices = list str;
          mirroredBoots = list (submodule {
            options = {
              path = set str;
              devices = list str;
            };
          });
        };
      };
    };

    environment = {
      etc = or' { } (table {
        text = or' null (nullOr lines);
        source = set path;
      });
      systemPackages = list package;
    };

    fileSystems = or' { } (table {
      device = or' null (nullOr str);
      fsType = or' "auto" str;
      options = or' [ "defaults" ] (listOf str);
    });
    swapDevices = list anything;

    hardware = {
      enableAllHardware = on;
      enableRedistributableFirmware = on;
    };

    networking = {
      hostName = or' "nixos" str;
      hostId = or' null (nullOr (lib.types.strMatching "[0-9a-f]{8}"));
      useDHCP = or' true bool;
      useNetworkd = on;
      firewall = ports // {
        interfaces = or' { } (table ports);
        trustedInterfaces = list str;
        checkReversePath = or' true (either bool (enum [ "strict" "loose" ]));
      };
    };

    nix = {
      package = or' "/stub/nix" anything;
      extraOptions = or' "" lines;
      settings = or' { } (attrsOf (either (listOf atom) atom));
    };
    nixpkgs.hostPlatform = set str;

    services = {
      getty.autologinUser = or' null (nullOr str);
      openssh = {
        enable = on;
        settings = or' { } (attrsOf anything);
        hostKeys = list (attrsOf anything);
      };
      k3s = {
        enable = on;
        package = or' { airgap-images = derivation "airgap-images"; } anything;
        role = or' "server" (enum [
          "server"
          "agent"
        ]);
        clusterInit = on;
        configPath = or' null (nullOr path);
        tokenFile = or' null (nullOr path);
        agentTokenFile = or' null (nullOr path);
        nodeLabel = list str;
        images = list package;
        extraFlags = list str;
        gracefulNodeShutdown.enable = on;
        autoDeployCharts = or' { } (table {
          repo = set str;
          name = set str;
          version = set str;
          hash = or' "" str;
          targetNamespace = or' "default" str;
          values = or' { } (either path (attrsOf anything));
        });
        manifests = or' { } (table {
          content = or' null (nullOr (either (attrsOf anything) (listOf (attrsOf anything))));
        });
      };
    };

    system = {
      name = or' "unnamed" str;
      nixos.release = or' "26.05" str;
      stateVersion = or' "26.05" str;
      boot.loader.kernelFile = or' "bzImage" str;
      build = or' { } ((lib.types.lazyAttrsOf or attrsOf) anything);
      systemBuilderCommands = or' "" lines;
    };

    systemd = {
      inherit services;
      network = {
        wait-online.anyInterface = on;
        # networkd.conf
        config.networkConfig = keys {
          ManageForeignRoutes = bool;
          ManageForeignRoutingPolicyRules = bool;
        };
        inherit networks;
        netdevs = or' { } (table {
          netdevConfig = keys {
            Name = str;
            Kind = enum [ "bridge" "bond" "vlan" ];
            MACAddress = lib.types.strMatching "none|([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}";
          };
          bridgeConfig = keys {
            STP = bool;
            HelloTimeSec = int;
            MaxAgeSec = int;
            ForwardDelaySec = int;
            Priority = lib.types.ints.between 0 65535;
          };
        });
        links = or' { } (table {
          matchConfig = section;
          linkConfig = keys { MACAddressPolicy = enum [ "persistent" "random" "none" ]; };
        });
      };
    };

    time.timeZone = or' null (nullOr str);

    users = {
      groups = or' { } (attrsOf anything);
      users = or' { } (table {
        initialHashedPassword = or' null (nullOr str);
        openssh.authorizedKeys.keys = list singleLineStr;
      });
    };

    virtualisation = {
      # A module of its own, which is evaluated with the rest when somebody asks for the virtual machine.
      vmVariant = or' { } (lib.types.deferredModule or anything);
      libvirtd = {
        enable = on;
        onShutdown = or' "suspend" (enum [
          "shutdown"
          "suspend"
        ]);
      };
      # Of machines in checks.
      additionalPaths = list path;
      diskSize = or' 1024 int;
      memorySize = or' 1024 int;
    };
  };

  config.system.build = {
    kernel = "/stub/kernel";
    netbootRamdisk = "/stub/ramdisk";
    toplevel = derivation "toplevel-${config.system.name}";
    vm =
      let
        variant = extendModules { modules = [ config.virtualisation.vmVariant ]; };
      in
      derivation "vm-${variant.config.system.name}";
    # As in NixOS, the loader that is switched on is the one that installs.
    installBootLoader =
      let
        inherit (config.boot) loader;
      in
      if loader.external.enable then
        loader.external.installHook
      else if loader.systemd-boot.enable then
        "/stub/systemd-boot"
      else if loader.grub.enable then
        "/stub/grub"
      else
        "/stub/no-boot-loader";
  };
}
