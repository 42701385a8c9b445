#!/bin/busybox sh
# The guest's first and only process: mounts the disk, runs holdfastd, says what it sees.
# PORT and HOLDFASTD_OPTIONS come from the kernel's command line. Options go by commas, for want of spaces.
b() { /bin/busybox "$@"; }
say() { echo "guest: $*"; }

b mount -t devtmpfs dev /dev
exec < /dev/console > /dev/console 2>&1
b mount -t proc proc /proc
b mount -t sysfs sys /sys
b mount -t tmpfs tmp /tmp
while read -r module; do
    b insmod "/modules/$module.ko" || say "failed: insmod $module"
done < /modules/order
b ip link set lo up
b ip addr add 10.0.2.15/24 dev eth0
b ip link set eth0 up
say "disk: $(b cat /sys/block/vda/queue/write_cache), fua $(b cat /sys/block/vda/queue/fua)"
# Its own commits every 5 s would flush what the node forgot to.
b mount -t ext4 -o commit=300 /dev/vda /data || say "failed: mount"
b mkdir -p /data/objects
say "mounted: $(b find /data/objects -type f | b wc -l) objects"
/holdfastd --dev --data-dir /data/node --listen "0.0.0.0:$PORT" --advertise "127.0.0.1:$PORT" \
    --store file:///data/objects $(echo "$HOLDFASTD_OPTIONS" | b tr , ' ') &
until b wget -q -O /dev/null http://127.0.0.1:9644/readyz 2>/dev/null; do
    b kill -0 $! 2>/dev/null || { say "failed: holdfastd ended"; break; }
    b sleep 0.2
done
say "ready"
while b sleep 2; do
    say "metrics: $(b wget -q -O - http://127.0.0.1:9644/metrics | b grep -E "^($METRICS) " | b tr '\n' ';')"
done
