package functions

import (
	"strconv"
	"strings"
	"time"
)

// Config is one entry of the `functions` list of the group file.
type Config struct {
	Name string `yaml:"name"`
	// Command is the program and its arguments; no shell is involved.
	Command []string `yaml:"command"`
	// Dir is the folder in which it runs.
	Dir string `yaml:"dir"`
	// Handler is what _HANDLER tells the runtime: "file.function" for Node and Python.
	Handler string `yaml:"handler"`
	// Encoding of the event: json (default), or binary, for payloads of any bytes.
	Encoding string `yaml:"encoding"`
	// Pinned starts it with the gateway and keeps one instance, which gets its calls in
	// order; otherwise it starts with its first message.
	Pinned bool `yaml:"pinned"`
	// Concurrency is the most instances of one that is not pinned, 1 or more.
	Concurrency int `yaml:"concurrency"`
	// Idle is how long an instance that is not pinned waits for a call before it ends.
	Idle time.Duration `yaml:"idle"`
	// Timeout is how long one call may take, more than 0 and at most 24h.
	Timeout time.Duration `yaml:"timeout"`
	// Retries is how often a failed call is tried again, 0 or more.
	Retries int `yaml:"retries"`
	// Queue holds the calls that wait for an instance.
	Queue Queue `yaml:"queue"`
	// ReplyTo is the topic to which answers are published; empty: nowhere.
	ReplyTo string `yaml:"reply_to"`
	// Every calls it that often, 1s or more; 0: not.
	Every time.Duration `yaml:"every"`
	// Cron calls it at those times: minute, hour, day of month, month, day of week.
	Cron string `yaml:"cron"`
	// Memory is the most that it may use, in bytes, at least 1MiB.
	Memory int64 `yaml:"memory" unit:"bytes"`
	// Processes is the most processes and threads that an instance may have.
	Processes int `yaml:"processes"`
	// User runs it as another user: a name, uid or uid:gid; empty: that of the gateway.
	User string `yaml:"user"`
	// Read, Write and Devices are the paths that it may open beyond those that every
	// program needs.
	Read        []string          `yaml:"read"`
	Write       []string          `yaml:"write"`
	Devices     []string          `yaml:"devices"`
	Environment map[string]string `yaml:"environment"`
}

// Queue bounds the calls that wait for an instance of a function.
type Queue struct {
	// Max is the most calls, 1 or more.
	Max int `yaml:"max"`
	// MaxSize is the most bytes of payload that they may hold together.
	MaxSize int64 `yaml:"max_size" unit:"bytes"`
	// WhenFull says which call a full queue gives up: drop_oldest or drop_newest.
	WhenFull string `yaml:"when_full"`
}

// The words of Queue.WhenFull and Config.Encoding.
const (
	DropOldest = "drop_oldest"
	DropNewest = "drop_newest"

	EncodingJSON   = "json"
	EncodingBinary = "binary"
)

// SetDefaults fills in what a function of the file may leave out: the three
// seconds and 128 MiB of AWS Lambda, and its two retries of what nobody waits for.
func (c *Config) SetDefaults() {
	*c = Config{
		Encoding: EncodingJSON, Concurrency: 4, Idle: 5 * time.Minute, Timeout: 3 * time.Second, Retries: 2,
		Queue:  Queue{Max: 1000, MaxSize: 8 << 20, WhenFull: DropOldest},
		Memory: 128 << 20, Processes: 256,
	}
}

// ValidUser tells whether a user is written as Config.User may be: a name, a UID, or
// UID:GID. Whether there is such a user is the machine's to say.
func ValidUser(user string) bool {
	uid, gid, both := strings.Cut(user, ":")
	number := func(id string) bool {
		_, err := strconv.ParseUint(id, 10, 31)
		return err == nil
	}
	if both {
		return number(uid) && number(gid)
	}
	return user != "" && !strings.ContainsAny(user, " \t/")
}
