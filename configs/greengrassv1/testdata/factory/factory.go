// Package factory makes the definitions of a large Greengrass V1 group, for tests: 200
// devices, 2,000 subscriptions, functions, connectors and secrets, as the AWS command
// line would have saved them: subscriptions in pages, the rest in one file. A real group
// of that size would be half a megabyte of repetition.
package factory

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// The figures of the group.
const (
	Devices       = 200
	Subscriptions = 2000
	LeftOut       = 4 // rows to and from connectors
	Repeated      = 1
)

const (
	account = "eu-west-1:123456789012:"
	thing   = "arn:aws:iot:" + account + "thing/"
	cert    = "arn:aws:iot:" + account + "cert/"
	lambda  = "arn:aws:lambda:" + account + "function:"
	shadow  = "GGShadowService"
)

type object = map[string]any

// Things are the devices of the group.
func Things() (names []string) {
	for i := range 100 {
		names = append(names, fmt.Sprintf("sensor-%03d", i+1))
	}
	for i := range 60 {
		names = append(names, fmt.Sprintf("press-%d-%02d", i/15+1, i%15+1))
	}
	for i := range 30 {
		names = append(names, fmt.Sprintf("panel-%02d", i+1))
	}
	for i := range 10 {
		names = append(names, fmt.Sprintf("gate-%d", i+1))
	}
	return names
}

// Certificate is the id of a device's certificate.
func Certificate(name string) string {
	sum := sha256.Sum256([]byte("certificate of " + name))
	return hex.EncodeToString(sum[:])
}

// Write writes the definitions into a folder.
func Write(dir string) error {
	var devices []object
	for i, name := range Things() {
		devices = append(devices, object{"Id": fmt.Sprintf("device-%d", i), "ThingArn": thing + name, "CertificateArn": cert + Certificate(name), "SyncShadow": i%2 == 0})
	}
	parts := []struct {
		kind, key, list string
		entries         []object
	}{
		{"cores", "CoreDefinitionVersionArn", "Cores", []object{{"Id": "core", "ThingArn": thing + "factory_Core", "CertificateArn": cert + Certificate("core"), "SyncShadow": true}}},
		{"devices", "DeviceDefinitionVersionArn", "Devices", devices},
		{"functions", "FunctionDefinitionVersionArn", "Functions", functions()},
		{"resources", "ResourceDefinitionVersionArn", "Resources", resources()},
		{"loggers", "LoggerDefinitionVersionArn", "Loggers", []object{{"Id": "log", "Component": "GreengrassSystem", "Type": "FileSystem", "Level": "INFO", "Space": 25600}}},
		{"connectors", "ConnectorDefinitionVersionArn", "Connectors", connectors()},
		{"subscriptions", "SubscriptionDefinitionVersionArn", "Subscriptions", Rows()},
	}
	refs := object{}
	var all []byte
	for i, p := range parts {
		id, version := fmt.Sprintf("%08d-0000-4000-8000-000000000000", i), fmt.Sprintf("%08d-1111-4111-8111-111111111111", i)
		arn := "arn:aws:greengrass:" + account + "/greengrass/definition/" + p.kind + "/" + id + "/versions/" + version
		refs[p.key] = arn
		answer := object{"Arn": arn, "Id": id, "Version": version, "CreationTimestamp": "2022-05-06T07:08:09.100Z"}
		if p.kind != "subscriptions" {
			answer["Definition"] = object{p.list: p.entries}
			text, err := json.MarshalIndent(answer, "", "    ")
			if err != nil {
				return err
			}
			all = append(append(all, text...), '\n') // cat *.json
			continue
		}
		const page = 500
		for at := 0; at < len(p.entries); at += page {
			answer["Definition"] = object{p.list: p.entries[at:min(at+page, len(p.entries))]}
			delete(answer, "NextToken")
			if at+page < len(p.entries) {
				answer["NextToken"] = fmt.Sprintf("token-%d", at)
			}
			text, err := json.Marshal(answer)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("subscriptions-%d.json", at/page+1)), text, 0o644); err != nil {
				return err
			}
		}
	}
	group, err := json.Marshal(object{"Arn": "arn:aws:greengrass:" + account + "/greengrass/groups/0f0f0f0f-0000-4000-8000-000000000000/versions/1",
		"Id": "0f0f0f0f-0000-4000-8000-000000000000", "Version": "1", "Definition": refs})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "all.json"), append(all, group...), 0o644)
}

// Rows are the subscriptions.
func Rows() (rows []object) {
	end := func(name string) string {
		switch name {
		case "cloud", shadow:
			return name
		case "aggregator", "alarms":
			return lambda + name + ":7"
		case "SNS", "TwilioNotifications", "ModbusRTUProtocolAdapter":
			return "arn:aws:greengrass:eu-west-1::/connectors/" + name + "/versions/4"
		}
		return thing + name
	}
	row := func(from, topic, to string) {
		rows = append(rows, object{"Id": fmt.Sprintf("row-%d", len(rows)+1), "Source": end(from), "Subject": topic, "Target": end(to)})
	}
	things := Things()
	sensors, presses, panels, gates := things[:100], things[100:160], things[160:190], things[190:]
	for _, s := range sensors {
		row(s, "factory/sensors/"+s+"/#", "cloud")
		row(s, "factory/sensors/"+s+"/temp", "aggregator")
		for _, p := range panels[:5] {
			row(s, "factory/sensors/"+s+"/temp", p)
		}
	}
	for i, p := range presses {
		line := fmt.Sprintf("factory/line/%d/", i/15+1)
		own := "$aws/things/" + p + "/shadow/"
		for _, request := range []string{"update", "get"} {
			row(p, own+request, shadow)
			row(shadow, own+request+"/accepted", p)
			row(shadow, own+request+"/rejected", p)
		}
		row(shadow, own+"update/delta", p)
		row(p, line+p+"/state", "cloud")
		row("cloud", "factory/cmd/"+p, p)
		row(p, line+p+"/state", "aggregator")
		row(panels[5+i%4], line+"cmd/+", p)
	}
	for _, p := range panels {
		for _, g := range gates {
			row(p, "gates/"+g+"/open", g)
			row(g, "gates/"+g+"/state", p)
		}
		row("alarms", "alarm/#", p)
	}
	row("aggregator", "factory/sums", "cloud")
	row("aggregator", "factory/sums", "alarms")
	// What nobody would fold.
	row("sensor-007", "odd/one", "gate-3")
	row("sensor-007", "odd/one", "gate-3") // somebody clicked twice
	row("panel-30", "odd/#", "sensor-001")
	row("press-1-01", "odd/press-1-02/+", "press-1-02")
	row("alarms", "sms", "TwilioNotifications")
	row("alarms", "sns", "SNS")
	row("ModbusRTUProtocolAdapter", "modbus/#", "alarms")
	row("sensor-001", "modbus/ask", "ModbusRTUProtocolAdapter")
	return rows
}

func functions() []object {
	return []object{
		{"Id": "f1", "FunctionArn": lambda + "aggregator:7", "FunctionConfiguration": object{
			"EncodingType": "json", "Executable": "aggregator.handler", "MemorySize": 131072, "Pinned": true, "Timeout": 10, "FunctionRuntimeOverride": "python3.8",
			"Environment": object{"AccessSysfs": true, "Variables": object{"LINES": "4", "NOTE": "a \"quoted\" note: # and more"},
				"ResourceAccessPolicies": []object{{"ResourceId": "serial", "Permission": "rw"}, {"ResourceId": "models", "Permission": "ro"}, {"ResourceId": "db", "Permission": "rw"}}}}},
		{"Id": "f2", "FunctionArn": lambda + "alarms:7", "FunctionConfiguration": object{
			"EncodingType": "binary", "Executable": "alarms", "Pinned": false, "Timeout": 3, "ExecArgs": "-v -level 3",
			"Environment": object{"Execution": object{"IsolationMode": "NoContainer", "RunAs": object{"Uid": 1001, "Gid": 1002}},
				"ResourceAccessPolicies": []object{{"ResourceId": "twilio"}}}}},
		{"Id": "spooler", "FunctionArn": "arn:aws:lambda:::function:GGCloudSpooler:1", "FunctionConfiguration": object{
			"Executable": "spooler", "MemorySize": 32768, "Pinned": true, "Timeout": 3,
			"Environment": object{"Variables": object{"GG_CONFIG_STORAGE_TYPE": "Memory", "GG_CONFIG_MAX_SIZE_BYTES": "262144", "GG_CONFIG_SUBSCRIPTION_QUALITY": "AtLeastOncePersistent"}}}},
		{"Id": "streams", "FunctionArn": "arn:aws:lambda:::function:GGStreamManager:1", "FunctionConfiguration": object{"MemorySize": 4194304, "Pinned": true, "Timeout": 3}},
	}
}

func resources() []object {
	local := func(kind string, data object) object { return object{kind: data} }
	return []object{
		{"Id": "serial", "Name": "Modbus line", "ResourceDataContainer": local("LocalDeviceResourceData", object{"SourcePath": "/dev/ttyUSB0", "GroupOwnerSetting": object{"AutoAddGroupOwner": false, "GroupOwner": "dialout"}})},
		{"Id": "models", "Name": "Models", "ResourceDataContainer": local("LocalVolumeResourceData", object{"SourcePath": "/srv/models", "DestinationPath": "/srv/models"})},
		{"Id": "db", "Name": "Database", "ResourceDataContainer": local("LocalVolumeResourceData", object{"SourcePath": "/srv/db", "DestinationPath": "/db"})},
		{"Id": "twilio", "Name": "Twilio token", "ResourceDataContainer": local("SecretsManagerSecretResourceData", object{"ARN": "arn:aws:secretsmanager:" + account + "secret:greengrass-twilio-AbCdEf"})},
		{"Id": "net", "Name": "Net", "ResourceDataContainer": local("S3MachineLearningModelResourceData", object{"S3Uri": "s3://models/net.zip", "DestinationPath": "/ml"})},
	}
}

func connectors() []object {
	arn := func(name string, version int) string {
		return fmt.Sprintf("arn:aws:greengrass:eu-west-1::/connectors/%s/versions/%d", name, version)
	}
	return []object{
		{"Id": "sns", "ConnectorArn": arn("SNS", 4), "Parameters": object{"DefaultSNSArn": "arn:aws:sns:eu-west-1:123456789012:alarms"}},
		{"Id": "twilio", "ConnectorArn": arn("TwilioNotifications", 4), "Parameters": object{"TWILIO_ACCOUNT_SID": "AC", "TwilioAuthTokenSecretArn": "arn:aws:secretsmanager:" + account + "secret:greengrass-twilio-AbCdEf"}},
		{"Id": "modbus", "ConnectorArn": arn("ModbusRTUProtocolAdapter", 3), "Parameters": object{"ModbusSerialPort": "/dev/ttyUSB0"}},
	}
}
