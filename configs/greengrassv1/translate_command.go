package greengrassv1

import (
	"cmp"
	"path"
	"regexp"
	"strings"
	"unicode"
)

// handlerForm is what can be a handler of Python, Node or Java, and is hardly a program.
var handlerForm = regexp.MustCompile(`^[A-Za-z0-9_./-]+(\.|::)[A-Za-z_][A-Za-z0-9_]*$`)

// command finds out how the function is started. Executable is its handler, where the
// runtime is one that has handlers, or else its program.
func (t *translator) command(f *function, s *siteFunction) {
	r := t.s.report
	if f.handler != "" && f.executable != "" && f.executable != f.handler {
		r.lacks(f.at, "executable "+clip(f.executable)+" of "+s.name, "AWS Lambda says that its handler is %s, which counts", f.handler)
	}
	handler := func(usual string) string {
		h := cmp.Or(f.handler, f.executable)
		if h == "" {
			r.lacks(f.at, "handler of "+s.name, "nothing says it; %s is the usual one", usual)
		}
		return cmp.Or(h, usual)
	}
	args := t.arguments(f, s)
	switch runtime := strings.ToLower(f.runtime); {
	case strings.HasPrefix(runtime, "python"):
		s.handler = handler("lambda_function.lambda_handler")
		s.command = append([]string{"python3", "-m", "greengate_runtime"}, args...)
		r.translated(f.at, "runtime "+f.runtime+" of "+s.name, "the python3 of this machine, with the runtime client that the gateway brings; greengrasssdk runs unmodified when it lies beside the code")
	case strings.HasPrefix(runtime, "nodejs"):
		s.handler = handler("index.handler")
		s.command = []string{"node", "-e", "require('greengate-runtime')"}
		if len(args) > 0 {
			s.command = append(append(s.command, "--"), args...) // they are none of node's
		}
		r.translated(f.at, "runtime "+f.runtime+" of "+s.name, "the node of this machine, with the runtime client that the gateway brings; aws-greengrass-core-sdk runs unmodified when it lies beside the code")
	case strings.HasPrefix(runtime, "java"):
		s.handler = handler("Handler")
		s.command = append([]string{"java", "-cp", "./*:.", "com.amazonaws.services.lambda.runtime.api.client.AWSLambda", s.handler}, args...)
		r.todo("add aws-lambda-java-runtime-interface-client to %s, for the function %s", s.dir, s.name)
	case f.handler == "" && !handlerForm.MatchString(f.executable) && isProgram(f.executable):
		s.command = append([]string{program(f.executable)}, args...)
		r.lacks(f.at, "executable "+f.executable+" of "+s.name, "command: %s; one that uses the C SDK of Greengrass has to be built with a Lambda runtime client (aws-lambda-cpp)", s.command[0])
	default:
		s.handler = cmp.Or(f.handler, f.executable)
		s.command = append([]string{"./bootstrap"}, args...)
		s.comments = append(s.comments, "its runtime is not known: for Python [python3, -m, greengate_runtime], for Node [node, -e, require('greengate-runtime')], or a program that has a runtime client")
		r.lacks(f.at, "runtime of "+s.name, "the group does not say it: give the answer of aws lambda get-function-configuration too, or write its command into the file")
	}
}

// isProgram tells whether an executable names a file.
func isProgram(s string) bool {
	return !strings.ContainsFunc(s, unicode.IsControl) && path.Base(s) != "." && path.Base(s) != "/"
}

// program is an executable as a path below the folder of its function.
func program(s string) string {
	if path.IsAbs(s) {
		return "./" + path.Base(s)
	}
	return "." + path.Clean("/"+s)
}

// arguments are those of ExecArgs.
func (t *translator) arguments(f *function, s *siteFunction) []string {
	args, whole := splitWords(f.args)
	if !whole {
		args = strings.Fields(f.args)
		t.s.report.lacks(f.at, "ExecArgs of "+s.name, "a quote does not end: its words are the arguments; look at its `command`")
	}
	return args
}

// splitWords splits a text as a shell does: at spaces, but not where quotes or a backslash
// keep them. whole is false when a quote does not end.
func splitWords(s string) (words []string, whole bool) {
	var word strings.Builder
	begun, escaped, quote := false, false, rune(0)
	for _, c := range s {
		switch {
		case escaped:
			if quote != 0 && c != quote && c != '\\' {
				word.WriteByte('\\') // it keeps nothing else there
			}
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			begun, escaped = true, true
		case c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			begun, quote = true, c
		case quote == 0 && unicode.IsSpace(c):
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			begun = true
			word.WriteRune(c)
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words, quote == 0 && !escaped
}
