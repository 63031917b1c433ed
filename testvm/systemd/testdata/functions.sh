#!/bin/bash
# Runs in the machine: functions under the unit of the package. What is wrong it says.
trap 'journalctl -o short-monotonic -u greengate >/mnt/journal 2>&1' EXIT
wrong() { echo "WRONG: $*" >&2 && exit 1; }
step() { echo "== $* ($(cut -d. -f1 /proc/uptime) s)"; }

# eventually TRIES COMMAND... tries each half of a second until it succeeds.
eventually() {
	local left=$1
	shift
	until "$@" >/dev/null 2>&1; do
		[ $((left -= 1)) -gt 0 ] || wrong "still not: $*; $(journalctl -u greengate | tail -n 5)"
		sleep 0.5
	done
}
property() { systemctl show -p "$1" --value greengate; }
running() { greengate status; }
answers() { [ "$(greengate function invoke echo --event /run/event)" = '{"n":1}' ]; }
landlock() { grep -q landlock /sys/kernel/security/lsm; }

step "install and init"
cp greengate /usr/bin/
cp greengate.service /etc/systemd/system/
cp greengate.sysusers /usr/lib/sysusers.d/greengate.conf
cp greengate.tmpfiles /usr/lib/tmpfiles.d/greengate.conf
if ! landlock; then # as the package does
	mkdir -p /etc/systemd/system/greengate.service.d
	cp namespaces.conf /etc/systemd/system/greengate.service.d/
fi
systemd-sysusers && systemd-tmpfiles --create greengate.conf && systemctl daemon-reload
greengate init --key p-256 >/run/said 2>&1 || wrong "init fails: $(cat /run/said)"

step "functions"
mkdir -p /srv/functions
cp trial /srv/functions/
if [ -d node ]; then
	cp -r node /opt/node
	cat >/srv/functions/app.js <<-X
		// Hot enough that it is compiled: code is written, and then executed.
		exports.handler = async ({ n }) => { let sum = 0; for (let i = 0; i < 3e6; i++) sum = (sum + i * n) % 1000003; return { sum }; };
	X
fi
echo '{"n":1}' >/run/event
{
	echo "functions:"
	common='dir: /srv/functions, timeout: 60s, retries: 0'
	echo "  - {name: echo, command: [./trial, echo], pinned: true, $common}"
	echo "  - {name: eat, command: [./trial, eat], memory: 48MiB, $common}"
	echo "  - {name: fork, command: [./trial, fork], processes: 32, $common}"
	echo "  - {name: thief, command: [./trial, thief, /etc/greengate/group.yaml, /etc/greengate/pki, $(echo /etc/greengate/pki/* | tr ' ' ,), /var/lib/greengate, /var/lib/greengate/greengate.sock], $common}"
	[ ! -d /opt/node ] || echo "  - {name: node, command: [/opt/node/node, -e, \"require('greengate-runtime')\"], handler: app.handler, memory: 256MiB, environment: {LD_LIBRARY_PATH: /opt/node}, $common}"
} >>/etc/greengate/group.yaml
systemctl restart greengate || wrong "it does not start: $(journalctl -u greengate | tail -n 5)"
eventually 100 running
step "they run"
eventually 100 answers
before=$(property MainPID)
greengate doctor 2>&1 | grep functions:
if [ -d /opt/node ]; then
	[ "$(greengate function invoke node --event /run/event)" = '{"sum":45}' ] || wrong "node: $(greengate function invoke node --event /run/event 2>&1; greengate function logs node)"
fi

step "a function that eats memory"
greengate function invoke eat --event /run/event >/run/said 2>&1 && wrong "it lives: $(cat /run/said)"
grep '48 MiB' /run/said || wrong "no reason: $(cat /run/said)"
journalctl -k | grep -q 'Memory cgroup out of memory.*(trial)' || wrong "it was not the kernel"

step "a function that steals"
greengate function invoke thief --event /run/event >/run/said 2>&1 || wrong "it fails: $(cat /run/said)"
cat /run/said
grep -E 'read|spoke|wrote|could|mounted|\.pem|\.db' /run/said && wrong "it got something"

step "a function that forks"
greengate function invoke fork --event /run/event >/run/said 2>&1 &
forks() { pgrep -fc 'trial (fork|child)'; }
many() { [ "$(forks)" -ge 3 ]; } # each has some threads, which count, too
eventually 100 many
forks=$(forks)
[ "$forks" -le 32 ] || wrong "there are $forks of it"

step "nobody was hurt"
answers || wrong "no answers"
[ "$(property MainPID)" = "$before" ] && [ "$(property NRestarts)" = 0 ] || wrong "the gateway is another: $(property NRestarts)"

step "kill -9 of the gateway, and a stop"
kill -9 "$before"
eventually 100 running
eventually 100 answers
[ "$(pgrep -fc 'trial echo')" = 1 ] || wrong "an old function is there: $(pgrep -fa trial)"
systemctl stop greengate || wrong "it does not stop"
pgrep -fa trial && wrong "they live on"
[ "$(property Result)" = success ] || wrong "it ended with $(property Result)"
step done
