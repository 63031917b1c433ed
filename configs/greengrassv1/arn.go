package greengrassv1

import "strings"

// functionARN is the name of a Lambda function with its version or alias.
type functionARN struct{ name, qualifier string }

// parseFunction reads arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]. The name
// is empty when it is none.
func parseFunction(arn string) (f functionARN) {
	fields := splitARN(arn)
	if len(fields) < 7 || fields[2] != "lambda" || fields[5] != "function" {
		return f
	}
	f.name = fields[6]
	if len(fields) > 7 {
		f.qualifier = fields[7]
	}
	return f
}

// thingOf returns the name of a thing's ARN; empty when it is none.
func thingOf(arn string) string {
	fields := splitARN(arn)
	if len(fields) < 6 || fields[2] != "iot" {
		return ""
	}
	name, ok := strings.CutPrefix(strings.Join(fields[5:], ":"), "thing/")
	if !ok {
		return ""
	}
	return name
}

// certificateOf returns the id of a certificate's ARN; empty when it is none.
func certificateOf(arn string) string {
	fields := splitARN(arn)
	if len(fields) != 6 || fields[2] != "iot" {
		return ""
	}
	id, ok := strings.CutPrefix(fields[5], "cert/")
	if !ok {
		return ""
	}
	return id
}

// connectorOf returns name and version of a connector's ARN; empty when it is none.
func connectorOf(arn string) (name, version string) {
	fields := splitARN(arn)
	if len(fields) != 6 || fields[2] != "greengrass" {
		return "", ""
	}
	rest, ok := strings.CutPrefix(fields[5], "/connectors/")
	if !ok {
		return "", ""
	}
	name, version, _ = strings.Cut(rest, "/versions/")
	return name, version
}

// splitARN splits at the colons; nil when it is no ARN. A missing value of a template
// may hold colons (AWS::Region), and splits nothing.
func splitARN(arn string) []string {
	if !strings.HasPrefix(arn, "arn:") {
		return nil
	}
	var fields []string
	inside, from := false, 0
	for i := range len(arn) {
		switch {
		case arn[i] == mark[0]:
			inside = !inside
		case arn[i] == ':' && !inside:
			fields = append(fields, arn[from:i])
			from = i + 1
		}
	}
	return append(fields, arn[from:])
}
