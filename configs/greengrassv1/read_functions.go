package greengrassv1

// readFunctions reads the function definition, with the default of the group and what
// AWS Lambda says of each function.
func (r *reader) readFunctions(g *group, d *documents, c *chosen) {
	container, uid, gid := true, "", ""
	for _, body := range c.bodies["function"] {
		if e := body.find("DefaultConfig", "Execution"); e != nil {
			container = r.isolated(e, container)
			uid, gid = r.runAs(e, uid, gid)
		}
	}
	r.entries(c, "function", "Functions", func(n *node) {
		arn := r.arn(n, "FunctionArn")
		f := function{arn: parseFunction(arn), id: n.scalar("Id"), at: n, container: container, uid: uid, gid: gid}
		if f.arn.name == "" && arn != "" {
			r.whole(n.get("FunctionArn"), arn)
			if len(missing(arn)) == 0 {
				r.fault(n.get("FunctionArn"), "arn:aws:lambda:REGION:ACCOUNT:function:NAME:VERSION", "%q is no ARN of a function", clip(arn))
			}
			return
		}
		r.whole(n.get("FunctionArn"), f.arn.name+f.arn.qualifier)
		if info, ok := d.lambda[f.arn.name]; ok {
			f.runtime, f.handler = r.whole(n, info.runtime), r.whole(n, info.handler)
		}
		r.function(&f, n.get("FunctionConfiguration"))
		g.functions = append(g.functions, f)
	})
}

func (r *reader) function(f *function, c *node) {
	if c == nil {
		return
	}
	f.encoding, f.executable, f.args = r.text(c, "EncodingType"), r.text(c, "Executable"), r.text(c, "ExecArgs")
	f.memory, f.pinned, f.timeout = r.number(c, "MemorySize"), r.boolean(c, "Pinned", false), seconds(r.number(c, "Timeout"))
	if o := r.text(c, "FunctionRuntimeOverride"); o != "" {
		f.runtime = o
	}
	e := c.get("Environment")
	f.sysfs = r.boolean(e, "AccessSysfs", false)
	f.variables = r.variables(e.get("Variables"))
	if x := e.get("Execution"); x != nil {
		f.container = r.isolated(x, f.container)
		f.uid, f.gid = r.runAs(x, f.uid, f.gid)
	}
	for _, p := range e.list("ResourceAccessPolicies") {
		f.access = append(f.access, access{r.text(p, "ResourceId"), r.text(p, "Permission") == "rw"})
	}
}

func (r *reader) isolated(execution *node, otherwise bool) bool {
	switch mode := r.text(execution, "IsolationMode"); mode {
	case "":
		return otherwise
	case "NoContainer":
		return false
	case "GreengrassContainer":
		return true
	default:
		r.fault(execution.get("IsolationMode"), "GreengrassContainer or NoContainer", "%q is no mode of isolation", clip(unmarked(mode)))
	}
	return otherwise
}

func (r *reader) runAs(execution *node, uid, gid string) (string, string) {
	as := execution.get("RunAs")
	if as == nil {
		return uid, gid
	}
	id := func(key, otherwise string) string {
		if as.get(key) == nil {
			return otherwise
		}
		n := r.number(as, key)
		return decimal(n)
	}
	return id("Uid", uid), id("Gid", gid)
}
