#!/bin/bash
# Runs in the machine: installs, uses and removes the package beside it.
trap 'journalctl -u trial >/mnt/journal' EXIT
wrong() { echo "WRONG: $*" >&2 && exit 1; }

# level N is what GPIO N carries, as the world sees it.
level() { cat "/run/gpiosim/pi/sim_gpio$1/value"; }

# eventually COMMAND... tries until it succeeds.
eventually() {
	local tries=0
	until "$@" >/dev/null 2>&1; do
		[ $((tries += 1)) -lt 100 ] || wrong "after 10 s still not: $*"
		sleep 0.1
	done
}
lit() { [ "$(level 17)" = 1 ]; }
ready() { greengate --config /etc/trial/group.yaml status; }

[ "$(ps -p 1 -o comm=)" = systemd ] || wrong "the first process is not systemd"
systemctl --quiet is-active multi-user.target || wrong "the machine is not up"
[ -z "$(systemctl --failed --no-legend)" ] || wrong "$(systemctl --failed)"

dpkg -i trial.deb || wrong "the package does not install"
greengate init /etc/trial --group pins --core pins_Core --key p-256 >/dev/null || wrong "no site"
cat >/etc/trial/group.yaml <<'YAML'
version: 1
group: pins
core: pins_Core
data: /var/lib/trial
discovery: {announce: false}
admin: {listen: ""}
pki: {dir: pki}
gpio:
  leds: [{name: red, pin: GPIO17, safe: on}]
YAML
adduser --quiet --system --group trial
chown -R trial: /etc/trial
systemctl daemon-reload
systemctl start trial || wrong "it does not start"
eventually ready
lit || wrong "the pin is not at its safe level"
greengate --config /etc/trial/group.yaml gpio set red off && ! lit || wrong "the pin cannot be set"

before=$(systemctl show -p MainPID --value trial)
systemctl kill -s KILL trial
eventually lit
eventually ready
[ "$(systemctl show -p MainPID --value trial)" != "$before" ] || wrong "it is the same process"
[ "$(ps -o user= -p "$(systemctl show -p MainPID --value trial)")" != root ] || wrong "it runs as root"

systemctl stop trial
[ "$(systemctl show -p Result --value trial)" = success ] || wrong "it does not end well"
dpkg --purge trial || wrong "it cannot be purged"
[ ! -e /usr/bin/greengate ] || wrong "the program is left"
