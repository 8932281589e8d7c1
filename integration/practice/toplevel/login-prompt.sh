#!@busybox@/bin/sh
# The sign that the machine is up. Nobody can log in: a practice machine has no passwords.
printf '\npractice login: '
while read -r _; do printf 'Login incorrect\n\npractice login: '; done
# The terminal is gone: init would start this again at once, for ever.
exec sleep infinity
