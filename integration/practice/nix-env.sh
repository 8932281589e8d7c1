# Sourced (bash): gives the shell a Nix that can build the practice system and sign it into a cache, whatever Nix the machine has.
# shellcheck shell=bash
#
# Three cases, told apart here and nowhere else:
#   system Nix    a daemon answers (NixOS, `nix develop`): used as it is; only the experimental commands are switched on.
#   root, no daemon    (Debian's nix-bin): a single-user store at /nix, with a configuration of our own, so that
#                      neither /etc/nix nor ~/.config/nix has a say. /nix is left behind on purpose: it is a cache.
#   user, no daemon    the same, but /nix cannot be made. `integration/practice/enter COMMAND…` runs a command in an
#                      unprivileged user and mount namespace where a directory of target/ is bound on /nix.
#
# The appliance (`nix copy --to file://…`) must be started from a shell that sourced this file.

practice_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export PRACTICE_TARGET=${PRACTICE_TARGET:-$(cd "$practice_root" && realpath -m "${CARGO_TARGET_DIR:-target}/practice")}
# sfdisk, mkfs and friends live in sbin, which a normal user's PATH often lacks.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin:$PRACTICE_TARGET/unpacked/usr/sbin:$PRACTICE_TARGET/unpacked/sbin"

if [ ! -S /nix/var/nix/daemon-socket/socket ]; then
    mkdir -p "$PRACTICE_TARGET/nix-conf"
    # Since 2.26 Nix warns of `flake-registry` in a file that does not switch flakes on itself.
    conf='experimental-features = nix-command flakes
build-users-group =
sandbox = false
substituters =
flake-registry ='
    if [ "$(cat "$PRACTICE_TARGET/nix-conf/nix.conf" 2>/dev/null)" != "$conf" ]; then
        # Written aside and renamed, since tests source this file side by side.
        file=$(mktemp "$PRACTICE_TARGET/nix-conf/nix.conf.XXXXXX")
        echo "$conf" >"$file"
        chmod 644 "$file"
        mv "$file" "$PRACTICE_TARGET/nix-conf/nix.conf"
        unset file
    fi
    unset conf
    export NIX_CONF_DIR="$PRACTICE_TARGET/nix-conf"
    export NIX_USER_CONF_FILES=/dev/null
    unset NIX_REMOTE
fi
export NIX_CONFIG='experimental-features = nix-command flakes'
