# A blank machine netboots from `services.pxe-appliance`, is installed, and joins a real k3s server.
self: pkgs: firmware:
let
  mac = "52:54:00:12:34:56";
  token = "practice-agent-token";

  hosts = pkgs.runCommand "hosts" { } ''
    mkdir -p "$out/profiles"
    cp ${../../hosts/profiles/worker.toml} "$out/profiles/worker.toml"
  '';
  worker = self.nixosConfigurations.worker.config.system.build.toplevel;

  uefi = [
    "-drive if=pflash,format=raw,unit=0,readonly=on,file=${pkgs.OVMF.firmware}"
    "-drive if=pflash,format=raw,unit=1,snapshot=on,file=${pkgs.OVMF.variables}"
  ];
  start = toString (
    [
      "${pkgs.qemu_test}/bin/qemu-system-x86_64 -machine accel=kvm:tcg -cpu max -m 3072"
      "-netdev vde,id=lan,sock=$QEMU_VDE_SOCKET_1 -device virtio-net-pci,netdev=lan,mac=${mac},bootindex=1"
      "-drive file=disk.qcow2,if=none,id=disk -device virtio-blk-pci,drive=disk,serial=blank,bootindex=2"
    ]
    ++ pkgs.lib.optionals (firmware == "uefi") uefi
  );
in
pkgs.testers.runNixOSTest {
  name = "install-${firmware}";
  # The annotations of `create_machine` are of machines that cannot reboot.
  skipTypeCheck = true;
  # An hour is the driver's own limit, and that of one wait below.
  globalTimeout = 2 * 60 * 60;

  nodes.appliance =
    { config, ... }:
    {
      imports = [ self.nixosModules.appliance ];

      virtualisation = {
        memorySize = 4096;
        diskSize = 16384;
        # What is published is in this machine's store already.
        additionalPaths = [ worker ];
      };

      environment.etc."k3s.token".text = token;
      services.pxe-appliance = {
        enable = true;
        settings = {
          lan.interface = "eth1";
          hosts-dir = "${hosts}/profiles";
          dhcp = {
            mode = "server";
            range = [
              "192.168.1.50"
              "192.168.1.99"
            ];
            # k3s does not start on a machine without a default route.
            router = "192.168.1.1";
          };
          k3s = {
            server = "https://192.168.1.1:6443";
            agent-token-file = "/etc/k3s.token";
            api-token-file = "/run/k3s-api.token";
          };
        };
      };

      services.k3s = {
        enable = true;
        role = "server";
        agentTokenFile = "/etc/k3s.token";
        images = [ config.services.k3s.package.airgap-images ];
        extraFlags = [
          "--node-ip=192.168.1.1"
          "--flannel-iface=eth1"
        ];
      };
      networking.firewall = {
        allowedTCPPorts = [
          6443
          10250
        ];
        allowedUDPPorts = [ 8472 ];
        trustedInterfaces = [
          "cni0"
          "flannel.1"
        ];
      };
    };

  testScript = ''
    import subprocess

    appliance.wait_for_unit("pxe-appliance.service")
    appliance.wait_until_succeeds("k3s kubectl get --raw /readyz", timeout=600)
    appliance.succeed(
        "k3s kubectl create serviceaccount looks",
        "k3s kubectl create clusterrole looks --verb=get,list --resource=nodes",
        "k3s kubectl create clusterrolebinding looks --clusterrole=looks --serviceaccount=default:looks",
        "install -m 640 -g pxe-admin /dev/null /run/k3s-api.token",
        "k3s kubectl create token looks --duration=24h >/run/k3s-api.token",
    )
    appliance.succeed(
        "pxe-admin publish worker --toplevel ${worker}",
        "pxe-admin enroll ${mac} --profile worker --name node1",
    )

    # QEMU starts in the folder of its machine.
    node = create_machine("${start}")
    disk = node.state_dir / "disk.qcow2"
    subprocess.run(["${pkgs.qemu_test}/bin/qemu-img", "create", "-f", "qcow2", disk, "16G"], check=True)
    # The installer reboots into what it installed.
    node.start(allow_reboot=True)

    appliance.wait_until_succeeds("pxe-admin --json show node1 | grep '\"joined\"'", timeout=3600)
    appliance.succeed("k3s kubectl wait --for=condition=Ready node/node1 --timeout=60s")
    appliance.fail("journalctl -u pxe-appliance | grep -F '${token}'")
    # Not asked to: what would hear the driver's `poweroff` is only in systems that were made for tests.
    node.crash()
  '';
}
