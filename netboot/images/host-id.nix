# `networking.hostId` of everything of ours that opens a pool: ZFS writes into it who used it last, and lets nobody else open it
# without force. It is of the pool's name, not of a machine or a system: what runs next on the same disk may be another system.
builtins.substring 0 8 (builtins.hashString "sha256" "rpool")
