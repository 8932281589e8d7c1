# `services.pxe-appliance.settings`: the keys of appliance.toml, with their types. What a key means in full is in
# appliance/README.md; the service checks again, and more, when it starts.
{ lib, pkgs, ... }:
let
  inherit (lib) types;
  toml = pkgs.formats.toml { };

  # Left out unless it is set.
  key =
    type: example: description:
    lib.mkOption {
      type = types.nullOr type;
      default = null;
      inherit example description;
    };

  section =
    options:
    lib.mkOption {
      type = types.submodule {
        freeformType = toml.type;
        inherit options;
      };
      default = { };
      description = "A section of appliance.toml.";
    };

  # A file that holds a secret: a path of the machine, never one of the world-readable store.
  secret = types.pathWith {
    inStore = false;
    absolute = true;
  };
  address = types.strMatching "[0-9]{1,3}(\\.[0-9]{1,3}){3}";
  duration = types.strMatching "[0-9]+[smhd]";
  path = types.either types.path types.str;
  # The module's file lies in the store, and beside it there is no flake that a relative path could mean.
  flake = types.strMatching "(/|[A-Za-z][A-Za-z0-9+.-]*:)[^ #]+" // {
    description = "absolute path or flake URL, as a string";
  };

  # What a network's machines are told, for the LAN itself and for networks behind relays.
  network = {
    range = key (types.listOf address) [
      "10.77.0.50"
      "10.77.0.200"
    ] "Server mode: the first and the last address of the pool.";
    lease-time = key duration "12h" "Server mode: how long an address is lent, at least a minute.";
    router = key address "10.77.0.254" "Server mode: the default gateway, which machines are told.";
    dns = key (types.listOf address) [ "10.77.0.254" ] "Server mode: the name servers, which machines are told.";
    domain = key types.str "lan" "Server mode: the domain, which machines are told.";
    reservations = key (types.attrsOf address) {
      "52:54:00:00:00:01" = "10.77.0.10";
    } "Server mode: addresses kept for one card each, by MAC.";
  };
  lan = {
    interface = key types.str "enp1s0" ''
      The interface of the LAN; needed only where there is more than one candidate.
    '';
    address = key address "10.77.0.1" ''
      The address to answer from. The interface's first IPv4 address if it is not set.
    '';
  };
in
{
  options.services.pxe-appliance.lans = lib.mkOption {
    type = types.listOf (types.submodule { options = lan; });
    default = [ ];
    example = [
      { interface = "enp1s0"; }
      { interface = "enp2s0"; }
    ];
    description = "The LANs, where there are several: `[[lan]]` in appliance.toml, instead of `settings.lan`.";
  };

  options.services.pxe-appliance.flakeSshKeyFile = key secret "/etc/pxe-appliance/flake-ssh.key" ''
    The file with the ssh key, without a passphrase and readable for root alone, by which the service fetches a `flake` of the
    kind `git+ssh://` for `publish.watch`. The key of the server is believed at the first time and kept in
    `/var/lib/pxe-appliance/known_hosts`, unless `programs.ssh.knownHosts` has it.

    Of the kind `git+https://`, it is fetched by Git, which looks for a password or token in `/var/lib/pxe-appliance/.netrc` (the
    service's home; the file must belong to the owner of that folder) and does not know Nix's `netrc-file`. For `github:` and
    `gitlab:` it is Nix's `access-tokens`, for archives (`https://…/lab.tar.gz`) Nix's `netrc-file`; a file with them must be
    readable for the group `pxe-admin`, such as one that `nix.extraOptions = "!include …"` names.
  '';

  options.services.pxe-appliance.settings = lib.mkOption {
    default = { };
    description = "The contents of appliance.toml.";
    type = types.submodule {
      freeformType = toml.type;
      options = {
        state-dir = key types.str "/var/lib/pxe-appliance" ''
          Where journal, cache, keys and certificates are kept. The unit may write to its own state directory only.
        '';
        hosts-dir = key path (lib.literalExpression "./hosts/profiles") ''
          The folder with the profiles. A path of the flake is copied into the store: profiles hold nothing secret.
        '';
        flake = key flake "git+ssh://git@example.org/lab" ''
          What `pxe-admin publish` builds: a flake URL, or an absolute path, as a string. `pxe-admin` reads it where it runs,
          with the rights of whoever runs it. With `publish.watch` the service reads it, too, for which nothing exists below
          `/home`, `/root` and `/run/user` (`ProtectHome`), and a repository must belong to its own user: give it a URL. For
          one that asks who is there see `flakeSshKeyFile`.
        '';

        lan = section lan;

        dhcp = section ({
          mode = key (types.enum [
            "proxy"
            "server"
            "off"
          ]) "proxy" ''
            `proxy` answers beside a router that hands out addresses, `server` hands out addresses too.
          '';
          share-port = key types.bool true "Answer beside another DHCP server on this very machine.";
          allow-second-server = key types.bool true "Server mode: start although another DHCP server answers on the LAN.";
          allow-wifi = key types.bool true "Server mode: serve an interface that is Wi-Fi.";
          allow-default-route = key types.bool true "Server mode: serve the interface of the default route.";
          subnet = key (types.listOf (
            types.submodule {
              options = {
                network = lib.mkOption {
                  type = types.strMatching "[0-9.]+/[0-9]+";
                  example = "10.78.0.0/24";
                  description = "The network, as address and length of the prefix.";
                };
              }
              // network;
            }
          )) [ { network = "10.78.0.0/24"; } ] "Server mode: where there are several LANs, what is leased on each; and networks behind relay agents.";
        }
        // network);

        boot = section {
          unknown = key types.str "ignore" ''
            What a machine gets that is in no profile and not enrolled: `ignore`, `wait`, `discover`, or the name of a
            profile to enroll it with.
          '';
          attempts = key (types.ints.between 1 100) 3 "How often an install may begin without ending well.";
          armed-for = key duration "24h" "How long an order to install stays in force.";
          ipxe-dir = key path "/usr/lib/ipxe" ''
            The folder with the iPXE loaders. The module sets it to those of the flake, which have our script inside.
          '';
          grub-dir = key path "/usr/lib/grub" "The folder with the signed shim and GRUB, for Secure Boot.";
          raspberry-pi-dir = key path "/srv/raspberry-pi/boot" ''
            A copy of the folder `boot` of github.com/raspberrypi/firmware, for Raspberry Pi boards.
          '';
        };

        http = section {
          port = lib.mkOption {
            type = types.port;
            default = 8080;
            description = "Boot scripts, images, cache, the read-only page, `/healthz` and `/metrics`.";
          };
          node-port = lib.mkOption {
            type = types.port;
            default = 8443;
            description = "Agents and nodes, over TLS.";
          };
        };

        admin = section {
          socket = key types.str "/run/pxe-appliance/admin.sock" ''
            The socket of `pxe-admin`. Members of the group `pxe-admin` may open it.
          '';
          listen = key (types.strMatching "[0-9]{1,3}(\\.[0-9]{1,3}){3}:[0-9]+") "10.77.0.1:8444" ''
            The same API over TLS with a bearer token, for workstations: an IPv4 address and a port.
          '';
          token-file = key secret "/etc/pxe-appliance/admin.token" ''
            The file with the bearer token of `listen`, readable for root alone. The appliance makes one in its state
            directory if it is not set, which is also what a workstation needs a copy of.
          '';
        };

        images = lib.mkOption {
          default = { };
          description = "Installer images by name. `installers` fills this.";
          type = types.attrsOf (
            types.submodule {
              options = {
                kernel = lib.mkOption {
                  type = path;
                  description = "The kernel.";
                };
                initrd = lib.mkOption {
                  type = path;
                  description = "The initrd of the same build.";
                };
                cmdline = lib.mkOption {
                  type = types.singleLineStr;
                  default = "";
                  description = "The command line of the same build.";
                };
                arch = lib.mkOption {
                  type = types.enum [
                    "x86_64"
                    "aarch64"
                  ];
                  description = "The machines it is for, as `uname -m` says it.";
                };
              };
            }
          );
        };

        publish = section {
          keep = key (types.ints.between 1 1000) 3 ''
            How many releases of each system `pxe-admin releases --prune` leaves in the cache in any case.
          '';
          watch = key duration "5m" ''
            How often to look at the branch of `flake`, to publish new commits by itself. Nothing is, if it is not set.
          '';
        };

        k3s = section {
          server = key types.str "https://10.77.0.10:6443" ''
            The API server that nodes join: a URL, or the name of the machine whose role is `server-init`.
          '';
          token-file = key secret "/etc/pxe-appliance/k3s.token" ''
            The file with the servers' token, readable for root alone. The appliance makes one if it is not set.
          '';
          agent-token-file = key secret "/etc/pxe-appliance/k3s-agent.token" ''
            The file with the agents' token, readable for root alone.
          '';
          api-token-file = key secret "/etc/pxe-appliance/k3s-api.token" ''
            The file with the token of an account that may look at nodes; without it `joined` is not seen. The cluster
            makes this token later than the appliance starts, so the file is read when it is there, and by the service
            itself: `root:pxe-admin`, mode 0640.
          '';
        };
      };
    };
  };
}
