#!/usr/bin/env bash
# Keeps two Docker engines of its own, beside the machine's, for as long as its standard input is open.
#
#   20: Debian 12's docker.io 20.10 (API 1.41, graph driver), the installed one where it is that version
#   26: Debian 13's docker.io 26.1 (API 1.45, containerd's image store), unpacked into the cache
#
# Prints `engine20=unix://…`, `engine26=unix://…`, `compose=PATH`, then `ready`; or `failed: why` and a status of 1.
# Each engine has its own data root, exec root, containerd, socket, bridge and address pool. When standard input ends,
# however that came about, everything is stopped and removed. Needs root; says so otherwise.
#
# `keeper.sh fetch` only fills the cache. `keeper.sh sweep` removes what keepers that were killed left behind.
set -euo pipefail

cache="${DOCKBEACON_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/dockbeacon}"
runs=/run/dockbeacon-test
slots=24

say() { echo "keeper: $*" >&2; }
die() {
    echo "failed: $*"
    say "$*"
    exit 1
}

host_arch() { dpkg --print-architecture; }

# Unpacks packages of one Debian release into $cache/NAME-HASH and sets $unpacked. Apt gets lists and state of its own,
# so the machine's packages are neither changed nor looked at.
unpack() { # unpack NAME SUITE PACKAGE...
    local name=$1 suite=$2 arch apt dir sources
    shift 2
    arch=$(host_arch)
    apt="$cache/apt-$suite-$arch"
    sources="deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $suite main"
    dir="$cache/$name-$(echo "1 $arch $sources $*" | sha256sum | cut -c1-12)"
    unpacked=$dir
    [ -e "$dir/.complete" ] && return 0
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] ||
        die "no keys to check Debian's packages with; install the package debian-archive-keyring"
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
    echo "$sources" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<CONF
Dir::State "$apt/state";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::status "/dev/null";
APT::Architecture "$arch";
APT::Architectures "$arch";
APT::Sandbox::User "root";
CONF
    rm -rf "$dir.part"
    mkdir -p "$dir.part/debs"
    say "fetching $* of Debian $suite"
    (
        cd "$dir.part/debs"
        export APT_CONFIG="$apt/apt.conf"
        apt-get -qq update && apt-get -qq download "$@"
    ) >&2 || die "cannot fetch $* of Debian $suite; is the network there?"
    local deb
    for deb in "$dir.part/debs"/*.deb; do dpkg-deb -x "$deb" "$dir.part"; done
    rm -rf "$dir.part/debs" "$dir"
    mv "$dir.part" "$dir"
    touch "$dir/.complete"
}

fetch() {
    mkdir -p "$cache"
    exec 8>"$cache/fetch.lock"
    flock 8
    unpack engine-26 trixie docker.io containerd
    root26=$unpacked
    unpack compose trixie docker-compose
    compose="$unpacked/usr/libexec/docker/cli-plugins/docker-compose"
    root20=
    if ! /usr/sbin/dockerd --version 2>/dev/null | grep -q ' 20\.10\.'; then
        unpack engine-20 bookworm docker.io containerd runc
        root20=$unpacked
    fi
    command -v runc >/dev/null || [ -n "$root20" ] || die "no runc; install the package docker.io"
    exec 8>&-
}

# Stops what one run left: its processes (by the pid files in its folder), mounts, bridges, rules, files.
clean() { # clean RUNDIR
    local run=$1 pid rule bridge mount
    local end=$((SECONDS + 15))
    for pid in $(pids_of "$run"); do
        if grep -qa '^dockerd' "/proc/$pid/cmdline" 2>/dev/null; then kill -TERM "$pid" 2>/dev/null || true; fi
    done
    while [ -n "$(pids_of "$run")" ] && [ "$SECONDS" -lt "$end" ]; do sleep 0.1; done
    # Shims outlive an engine that was killed; they carry the run's folder in their arguments.
    for pid in $(pids_of "$run"); do kill -KILL "$pid" 2>/dev/null || true; done
    awk -v a="$run/" -v b="$(cat "$run/data" 2>/dev/null || echo /nowhere)/" \
        'index($2, a) == 1 || index($2, b) == 1 {print $2}' /proc/mounts | sort -r |
        while read -r mount; do umount -l "$mount" 2>/dev/null || true; done
    while read -r rule; do
        # shellcheck disable=SC2086
        iptables -D $rule 2>/dev/null || true
    done < <(cat "$run/rules" 2>/dev/null)
    while read -r bridge; do ip link delete "$bridge" 2>/dev/null || true; done < <(cat "$run/bridges" 2>/dev/null)
    # Bridges of networks that tests made and did not remove are named br-…; they have an address of our pools.
    if [ -e "$run/pools" ]; then
        local pool
        while read -r pool; do
            for bridge in $(ip -o -4 addr show | awk -v p="$pool." 'index($4, p) == 1 {print $2}'); do
                ip link delete "$bridge" 2>/dev/null || true
            done
        done <"$run/pools"
    fi
    [ ! -e "$run/data" ] || rm -rf "$(cat "$run/data")"
    rm -rf "$run"
}

# Engine processes whose arguments name the run's folder.
pids_of() {
    ps -eo pid=,comm=,args= | awk -v r="$1/" '
        $2 ~ /^(dockerd|containerd|containerd-shim|docker-proxy)/ && index($0, r) {print $1}'
}

start() { # start NAME ROOT PREFIX EXTRA-JSON
    local name=$1 root=$2 prefix=$3 extra=$4 dir bridge search
    dir="$run/$name"
    bridge="dbt$slot-$name"
    mkdir -p "$dir" "$data/$name"
    echo "$bridge" >>"$run/bridges"
    echo "$prefix" >>"$run/pools"
    ip link delete "$bridge" 2>/dev/null || true
    ip link add "$bridge" type bridge
    ip addr add "$prefix.0.1/24" dev "$bridge"
    ip link set "$bridge" up
    # Another engine's FORWARD policy of DROP would also cut our containers off from one another.
    if command -v iptables >/dev/null; then
        local rule="FORWARD -s $prefix.0.0/16 -d $prefix.0.0/16 -j ACCEPT"
        # shellcheck disable=SC2086
        if iptables -I $rule 2>/dev/null; then echo "$rule" >>"$run/rules"; fi
    fi
    cat >"$dir/daemon.json" <<CONF
{"hosts": ["unix://$dir/docker.sock"], "data-root": "$data/$name", "exec-root": "$dir/exec", "pidfile": "$dir/dockerd.pid",
 "bridge": "$bridge", "iptables": false, "ip6tables": false, "group": "$group", "log-level": "warn",
 "default-address-pools": [{"base": "$prefix.128.0/17", "size": 24}], "shutdown-timeout": 3 $extra}
CONF
    echo "$root" >"$dir/root"
    launch "$name"
}

launch() { # launch NAME
    local dir="$run/$1" root search
    root=$(cat "$dir/root")
    search="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
    [ -z "$root" ] || search="$root/usr/sbin:$root/usr/bin:$search"
    [ -z "$root20" ] || search="$search:$root20/usr/sbin"
    # A session of its own: Ctrl-C in the terminal reaches the tests, and only their end reaches the engines.
    PATH="$search" DOCKER_RAMDISK='' setsid dockerd --config-file "$dir/daemon.json" \
        >>"$dir/log" 2>&1 </dev/null 9>&- &
}

# The engine and the containerd under it, which dies with it.
engine_pids() { # engine_pids NAME
    local pid
    for pid in $(pids_of "$run/$1"); do
        case $(cat "/proc/$pid/comm" 2>/dev/null) in dockerd | containerd) echo "$pid" ;; esac
    done
}

# As a crash of the engine: its containers live on until it is started again.
crash() { # crash NAME
    local pid
    for pid in $(engine_pids "$1"); do kill -KILL "$pid" 2>/dev/null || true; done
    # A new engine would take a containerd that is still dying for one that works.
    while [ -n "$(engine_pids "$1")" ]; do sleep 0.05; done
}

# As a power cut: nothing that ran on this engine runs any more, and nobody was told.
cut_power() { # cut_power NAME
    local pid inner=
    # The containers are the shims' children; whoever could take note of their end goes first.
    for pid in $(pids_of "$run/$1"); do
        case $(cat "/proc/$pid/comm" 2>/dev/null) in
        containerd-shim*) inner="$inner $(pgrep -P "$pid" | tr '\n' ' ' || true)" ;;
        esac
    done
    for pid in $(pids_of "$run/$1") $inner; do kill -KILL "$pid" 2>/dev/null || true; done
    while [ -n "$(pids_of "$run/$1")" ]; do sleep 0.05; done
}

wait_up() { # wait_up NAME
    local up=
    for _ in $(seq 600); do
        if answers "$run/$1/docker.sock"; then
            up=yes
            break
        fi
        sleep 0.1
    done
    [ -n "$up" ] || die "engine $1 did not answer within a minute: $(tail -n 5 "$run/$1/log" | tr '\n' ' ')"
}

answers() { curl -fsS --max-time 5 --unix-socket "$1" http://engine/_ping >/dev/null 2>&1; }

sweep() {
    local old n
    for old in "$runs"/*; do
        [ -d "$old" ] || continue
        n=${old##*/}
        exec 7>"$runs/$n.lock"
        if flock -n 7; then
            say "removing what a killed run left in $old"
            clean "$old"
        fi
        exec 7>&-
    done
}

# As systemd does: an engine that gives up at its start, because a shim of its earlier life keeps containerd waiting, is
# started again.
revive() { # revive NAME
    local try
    for try in 1 2 3 4 5; do
        launch "$1"
        for _ in $(seq 600); do
            if answers "$run/$1/docker.sock"; then return 0; fi
            kill -0 "$!" 2>/dev/null || break
            sleep 0.1
        done
        say "engine $1 did not come up at try $try"
        crash "$1"
    done
    die "engine $1 did not come back: $(tail -n 5 "$run/$1/log" | tr '\n' ' ')"
}

[ "$(id -u)" = 0 ] || die "test engines need root: run this as root or with sudo"
case "${1:-keep}" in
fetch)
    fetch
    echo "compose=$compose"
    exit 0
    ;;
sweep)
    sweep
    exit 0
    ;;
keep) ;;
*) die "unknown command $1" ;;
esac

for tool in curl flock ip setsid dpkg-deb apt-get; do
    command -v "$tool" >/dev/null || die "$tool is missing; scripts/test installs what the tests need"
done
group=${DOCKBEACON_TEST_GROUP:-$(id -gn)}
fetch
mkdir -p "$runs"
sweep

slot=
for n in $(seq 0 $((slots - 1))); do
    exec 9>"$runs/$n.lock"
    if flock -n 9; then
        slot=$n
        break
    fi
done
[ -n "$slot" ] || die "all $slots places for test engines are taken; look into $runs"
run="$runs/$slot"
data="$cache/run-$slot"
mkdir -p "$run"
rm -rf "$data"
echo "$data" >"$run/data"
trap 'clean "$run"' EXIT
trap 'exit 1' INT TERM HUP

start 20 "$root20" "10.$((160 + 2 * slot))" ''
start 26 "$root26" "10.$((161 + 2 * slot))" ', "features": {"containerd-snapshotter": true}'
for name in 20 26; do
    wait_up "$name"
    echo "engine$name=unix://$run/$name/docker.sock"
done
echo "compose=$compose"
echo "ready"
# A test that has engines to itself may ask for trouble.
while read -r order name; do
    case $order in
    kill) crash "$name" ;;
    cut) cut_power "$name" ;;
    start) revive "$name" ;;
    *) die "unknown order $order" ;;
    esac
    echo "done"
done
