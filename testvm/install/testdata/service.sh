#!/bin/bash
# Runs in the machine: the life of the package, from its installation to its end. What is
# wrong it says, and ends. old.deb and new.deb are this tree's, under two versions.
trap 'journalctl -o short-monotonic -u greengate >/mnt/journal 2>&1' EXIT
wrong() { echo "WRONG: $*" >&2 && exit 1; }
step() { echo "== $*"; }

# eventually TRIES COMMAND... tries each tenth of a second until it succeeds.
eventually() {
	local left=$1
	shift
	until "$@" >/dev/null 2>&1; do
		[ $((left -= 1)) -gt 0 ] || wrong "still not: $*"
		sleep 0.1
	done
}
property() { systemctl show -p "$1" --value greengate; }
now() { # in milliseconds, by no process
	local up
	read -r up _ </proc/uptime
	echo $((10#${up/./} * 10))
}
# nap SECONDS sleeps, by no process either.
mkfifo /run/nap && exec 9<>/run/nap
nap() { read -rt "$1" -u 9; }
# killed UNIT SECONDS kills it with signal 9, and sets took to the milliseconds until systemd
# called it ready again. Nobody asks in between: `systemctl` alone takes a tenth of a second here.
killed() {
	local pid start ready
	pid=$(systemctl show -p MainPID --value "$1") start=$(now)
	kill -9 "$pid"
	nap "$2"
	ready=$(systemctl show -p ActiveEnterTimestampMonotonic --value "$1")
	[ "$(systemctl show -p ActiveState --value "$1")" = active ] || wrong "$1 is $(systemctl show -p ActiveState --value "$1")"
	took=$((ready / 1000 - start))
	[ $took -gt 0 ] || wrong "$1 has not come back"
}
# level N is what GPIO N carries, as the world sees it.
level() { cat "/run/gpiosim/pi/sim_gpio$1/value"; }
is_on() { [ "$(level 17)" = 1 ]; }
is_off() { [ "$(level 17)" = 0 ]; }
running() { greengate status; }
other_than() { [ "$(property MainPID)" != 0 ] && [ "$(property MainPID)" != "$1" ] && running; }
generation() { greengate status --json | sed -n 's/.*"generation": *\([0-9]*\).*/\1/p'; }
connected() { [ "$(greengate status --json | grep -c '"connected": true')" -ge 2 ]; }

step install
dpkg -i old.deb >said 2>&1 || wrong "it does not install: $(cat said)"
grep -q 'sudo greengate init' said || wrong "nobody is told what comes next: $(cat said)"
[ "$(systemctl is-enabled greengate)" = enabled ] || wrong "it is not enabled"
[ "$(systemctl is-active greengate)" = inactive ] || wrong "it runs without a site"
[ -z "$(systemctl --failed --no-legend)" ] || wrong "$(systemctl --failed)"

step init
before=$(now)
greengate init --key p-256 || wrong "init fails"
echo "init, and ready: $(($(now) - before)) ms"
[ "$(systemctl is-active greengate)" = active ] || wrong "it does not run after init"
running >/dev/null || wrong "there is no status"
[ "$(property User)" = greengate ] && [ "$(ps -o user= -p "$(property MainPID)")" = greengate ] || wrong "it runs as $(ps -o user= -p "$(property MainPID)")"

step site
greengate device add sender --out /root/devices >/dev/null || wrong "no device"
greengate device add receiver --out /root/devices >/dev/null || wrong "no device"
sed -i -e 's|listen: \["0.0.0.0:8443"\]|listen: ["0.0.0.0:8443", "0.0.0.0:443"]|' \
	-e 's|^subscriptions:.*|subscriptions:\n  - {from: sender, topic: "numbers/#", to: receiver}|' /etc/greengate/group.yaml
cat >>/etc/greengate/group.yaml <<'YAML'

gpio:
  leds: [{name: red, pin: GPIO17, safe: off}]
YAML
greengate check || wrong "the file has a fault"
systemctl restart greengate || wrong "it does not start again"
ss -tln | grep -q ':443 ' && ss -tln | grep -q ':8883 ' || wrong "the ports are not open: $(ss -tln)"
is_off || wrong "the pin is not at its safe level"
greengate gpio set red on && eventually 20 is_on

step sandbox
systemd-analyze verify --man=no greengate.service 2>&1 | grep greengate | grep -v -e notify-reload && wrong "the unit has faults"
systemd-analyze security --no-pager greengate | tail -n 1
systemd-analyze security --no-pager --threshold=20 greengate >/dev/null || wrong "the exposure is above 2.0"
# may_write FILE tells whether its mount lets the service write there, rights aside.
may_write() { nsenter -t "$(property MainPID)" -m test -w "$1"; }
may_write /sys/devices/platform || wrong "PWM cannot be written"
may_write /var/lib/greengate || wrong "its state cannot be written"
for file in /etc /usr /sys/kernel /sys/class /sys/devices/system /sys/module/kernel/parameters/panic /proc/sys/kernel/panic; do
	may_write "$file" && wrong "$file can be written"
done

step "reload under traffic"
older=$(find /usr/lib/systemd/system/greengate.service.d -name before-254.conf 2>/dev/null)
version=$(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')
echo "systemd $version, Type=$(property Type)"
if [ "$version" -ge 254 ]; then
	[ -z "$older" ] && [ "$(property Type)" = notify-reload ] || wrong "Type=$(property Type), $older"
else
	[ -n "$older" ] && [ "$(property Type)" = notify ] || wrong "Type=$(property Type), $older"
fi
./traffic localhost:8883 /root/devices >traffic.said 2>&1 &
traffic=$!
eventually 100 connected
before=$(property MainPID)
for n in 1 2 3; do
	sed -i "s|^group: .*|&|; \$a # reload $n" /etc/greengate/group.yaml
	was=$(generation)
	systemctl reload greengate || wrong "it does not reload"
	# The command has waited for it.
	[ "$(generation)" = $((was + 1)) ] || wrong "after the reload the generation is $(generation), and was $was"
done
echo 'nonsense: true' >>/etc/greengate/group.yaml
systemctl reload greengate && [ -n "$older" ] && wrong "the reload of a faulty file is called well"
eventually 50 sh -c 'greengate status --json | grep -q nonsense' # told, and the old file stays in force
sed -i '/^nonsense/d' /etc/greengate/group.yaml
systemctl reload greengate
eventually 50 sh -c '! greengate status --json | grep -q nonsense'
[ "$(property MainPID)" = "$before" ] || wrong "a reload was a restart"
kill -0 $traffic || wrong "the devices have ended: $(cat traffic.said)"
[ "$(journalctl -u greengate | grep -c 'device connected.*thing=sender')" = 1 ] || wrong "a reload cut a device"

step "kill -9"
# In the same sandbox something that does nothing: what systemd itself takes for the two
# processes, that of ExecStopPost and the next one.
sed -e 's|^ExecStart=.*|ExecStart=/bin/sh -c "systemd-notify --ready; exec sleep infinity"|' \
	-e 's|^ExecStopPost=.*|ExecStopPost=/bin/true|' -e '/^Type=/d; /^WatchdogSec=/d; /^Condition/d' \
	-e 's|^StateDirectory=.*|StateDirectory=bare|' -e 's|^\[Service\]|&\nType=notify\nNotifyAccess=all|' \
	/usr/lib/systemd/system/greengate.service >/run/systemd/system/bare.service
systemctl daemon-reload
systemctl start bare || wrong "$(systemctl status bare)"
killed bare 5
echo "a program that does nothing is back after $took ms"
systemctl stop bare
rm /run/systemd/system/bare.service
is_on || wrong "the pin has changed"
for n in 1 2; do
	before=$(property MainPID)
	killed greengate 5
	[ "$(property MainPID)" != "$before" ] || wrong "it is the same process"
	echo "back after $took ms"
	[ $took -le 2000 ] || wrong "it came back after $took ms"
	is_off || wrong "the pin is not safe"
done
eventually 200 connected
greengate gpio set red on >/dev/null && eventually 20 is_on
start=$(now)
kill -9 "$(property MainPID)"
while is_on; do
	[ $(($(now) - start)) -lt 2000 ] || wrong "the pin is not safe"
	nap 0.01
done
echo "the pin is safe after $(($(now) - start)) ms"

step "killed again and again"
# After the third time it waits for a second, then two, and so on.
nap 5
for least in 2000 4000; do
	killed greengate $((least / 1000 + 5))
	echo "back after $took ms"
	[ $took -ge $least ] && [ $took -le $((least + 2000)) ] || wrong "it came back after $took ms, and should have waited for $least"
done
kill -9 "$(property MainPID)"
nap 4
systemctl status greengate --no-pager | grep 'Status: "waits 8s' || wrong "nobody is told: $(systemctl status greengate)"
start=$(now)
systemctl restart greengate || wrong "it does not start" # a person need not wait
took=$(($(now) - start))
echo "restarted by hand: $took ms"
[ $took -le 3000 ] || wrong "a person waits for $took ms"
eventually 200 connected

step watchdog
mkdir -p /run/systemd/system/greengate.service.d
printf '[Service]\nWatchdogSec=6s\n' >/run/systemd/system/greengate.service.d/watchdog.conf # not to wait 30
systemctl daemon-reload
systemctl restart greengate
eventually 200 connected
sleep 8 # it is fed
before=$(property MainPID) start=$(now)
[ "$(property NRestarts)" = 0 ] || wrong "the watchdog fired on a gateway that is well"
kill -STOP "$before"
eventually 250 other_than "$before"
echo "a stuck process is replaced after $(($(now) - start)) ms"
journalctl -u greengate | grep -qi 'watchdog timeout' || wrong "it was not the watchdog"
rm /run/systemd/system/greengate.service.d/watchdog.conf
systemctl daemon-reload

step "a fault in the file"
cp /etc/greengate/group.yaml good.yaml
echo 'nonsense: true' >>/etc/greengate/group.yaml
systemctl restart greengate && wrong "it starts with a faulty file"
sleep 2
[ "$(property ActiveState)" = failed ] && [ "$(property NRestarts)" = 0 ] || wrong "it is tried again: $(property NRestarts)"
journalctl -u greengate | grep -q 'group.yaml:.*nonsense' || wrong "the journal has no reason"
cat good.yaml >/etc/greengate/group.yaml
systemctl start greengate || wrong "it does not start"
eventually 200 connected

step upgrade
sum=$(sha256sum </etc/greengate/group.yaml) ca=$(sha256sum </etc/greengate/pki/root-ca.pem)
before=$(now)
dpkg -i new.deb >said 2>&1 || wrong "it does not upgrade: $(cat said)"
running >/dev/null || wrong "it does not run"
greengate status --json | grep -q '"version": "9.9.9"' || wrong "the old one still runs"
[ "$(sha256sum </etc/greengate/group.yaml)" = "$sum" ] && [ "$(sha256sum </etc/greengate/pki/root-ca.pem)" = "$ca" ] || wrong "the upgrade changed the site"
eventually 200 connected
echo "upgraded, devices back: $(($(now) - before)) ms"

step "downgrade over newer data"
systemctl stop greengate
known=$(sqlite3 /var/lib/greengate/sessions.db 'PRAGMA user_version')
sqlite3 /var/lib/greengate/sessions.db 'PRAGMA user_version=99'
dpkg -i old.deb >said 2>&1 && wrong "it goes over newer data"
grep 'was written by a newer version' said || wrong "no reason: $(cat said)"
[ "$(dpkg-query -f '${Version} ${db:Status-Status}' -W greengate)" = "9.9.9 installed" ] || wrong "$(dpkg-query -W greengate)"
sqlite3 /var/lib/greengate/sessions.db "PRAGMA user_version=$known"
chown greengate: /var/lib/greengate/*
systemctl start greengate || wrong "it does not start"
eventually 200 connected

step "what became of the messages"
kill -TERM $traffic
wait $traffic || wrong "messages are lost: $(cat traffic.said)"
cat traffic.said

step "remove and purge"
dpkg -r greengate >said 2>&1 || wrong "it cannot be removed: $(cat said)"
[ ! -e /usr/bin/greengate ] && [ -e /etc/greengate/group.yaml ] && [ -e /var/lib/greengate/sessions.db ] || wrong "remove: $(ls /etc/greengate /var/lib/greengate)"
pgrep -x greengate && wrong "it still runs"
is_off || wrong "the pin is not safe"
dpkg -P greengate >said 2>&1 || wrong "it cannot be purged: $(cat said)"
left=$(find / -xdev -name '*greengate*' -not -path '/proc/*' -not -path '/mnt/*' -not -path '/var/log/*' -not -path '/root/*' -not -path '/var/lib/dpkg/*')
[ -z "$left" ] || wrong "purge left $left"
systemctl --failed --no-legend | grep . && wrong "a unit failed"
step done
