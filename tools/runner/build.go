package runner

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"fluxmq/profiles"
	"fluxmq/reports"
)

// brokerVersion is what -X gives the broker; the Makefile uses the same.
const brokerVersion = "0.1.0"

// build is one compilation of the plan.
type build struct {
	role   string
	output string
	argv   []string
	env    []string
	dir    string
	// fresh tells that the output is newer than its sources, so that nothing need be done.
	fresh bool
}

func (b build) String() string {
	line := strings.Join(append(append([]string{}, b.env...), b.argv...), " ")
	if b.fresh {
		line += "   (up to date)"
	}
	return line
}

// record is the command line as results keep it: paths from the source tree, not from this machine's root.
func (b build) record(root string) []string {
	return fromRoot(append(append([]string{}, b.env...), b.argv...), root)
}

// fromRoot gives arguments their paths from the source tree.
func fromRoot(args []string, root string) []string {
	short := make([]string, 0, len(args))
	for _, arg := range args {
		short = append(short, strings.ReplaceAll(arg, root, "."))
	}
	return short
}

// profileRecord is a resolved profile as results keep it.
func profileRecord(p *profiles.Profile, plan *profiles.Plan, root string) reports.ProfileRecord {
	return reports.ProfileRecord{Name: p.Name, Text: p.Text, SHA256: p.SHA256, BuildArgs: fromRoot(plan.BuildArgs, root), BuildEnv: plan.BuildEnv,
		Env: plan.Env, BrokerPrefix: plan.BrokerPrefix, ClientPrefix: plan.ClientPrefix, DegradedNotes: plan.Notes}
}

// brokerBuild compiles the broker under a profile.
func brokerBuild(c Checkout, profile *profiles.Profile, plan *profiles.Plan, tags string) build {
	name := profile.Name
	if tags != "" {
		name += "-" + strings.ReplaceAll(tags, ",", "-")
	}
	output := c.Cache("build", name, "fluxmq")
	ldflags := fmt.Sprintf("-s -w -X fluxmq/broker/node.Version=%s -X fluxmq/broker/node.Commit=%s", brokerVersion, c.Stamp())
	argv := []string{"go", "build", "-trimpath", "-ldflags", ldflags}
	argv = append(argv, plan.BuildArgs...)
	if tags != "" {
		argv = append(argv, "-tags", tags)
	}
	return build{role: "broker", output: output, dir: c.Root, env: append([]string{"CGO_ENABLED=0"}, plan.BuildEnv...), argv: append(argv, "-o", output, "./broker/cmd/fluxmq")}
}

// loadBuild compiles fluxload, always in the same way: the profile is the broker's.
func loadBuild(c Checkout) build {
	output := c.Cache("build", "fluxload")
	return build{role: "load-go", output: output, dir: c.Root, env: []string{"CGO_ENABLED=0"},
		argv: []string{"go", "build", "-trimpath", "-ldflags", "-s -w", "-o", output, "./loadgen/cmd/fluxload"}}
}

// jarBuild packages the Java client, when its jar is older than its sources.
func jarBuild(c Checkout) (build, error) {
	dir := filepath.Join(c.Root, "java-tests")
	b := build{role: "load-java", output: filepath.Join(dir, "target", "fluxload.jar"), dir: dir, argv: []string{"mvn", "-q", "-B", "package", "-DskipTests"}}
	jar, err := os.Stat(b.output)
	if err != nil {
		return b, nil
	}
	newest := time.Time{}
	for _, source := range []string{"pom.xml", filepath.Join("src", "main")} {
		err := filepath.WalkDir(filepath.Join(dir, source), func(_ string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err == nil && !info.IsDir() && info.ModTime().After(newest) {
				newest = info.ModTime()
			}
			return err
		})
		if err != nil {
			return b, fmt.Errorf("java-tests: %w", err)
		}
	}
	b.fresh = !newest.After(jar.ModTime())
	return b, nil
}

// buildLimit bounds one compilation, downloads of a first run included.
const buildLimit = 10 * time.Minute

// run compiles, unless the output is fresh. The compiler's words are the error.
func (b build) run(ctx context.Context) error {
	if b.fresh {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(b.output), 0o755); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.argv[0], b.argv[1:]...)
	cmd.Dir, cmd.Env = b.dir, append(os.Environ(), b.env...)
	var words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &words, &words
	// What the build tool starts is in its group, and ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
			awaitGroup(cmd.Process)
		}
		return fmt.Errorf("build of %s: %w\n%s\n%s", b.role, err, b, lastLines(words.String(), tailLines))
	}
	if _, err := os.Stat(b.output); err != nil {
		return fmt.Errorf("build of %s left no %s", b.role, b.output)
	}
	return nil
}

// groupGrace is how long the members of a killed group may take to be gone.
const groupGrace = 2 * time.Second

// awaitGroup waits until a group that was killed is gone. p is its leader, nil
// where none was started.
func awaitGroup(p *os.Process) {
	if p == nil {
		return
	}
	for deadline := time.Now().Add(groupGrace); syscall.Kill(-p.Pid, 0) == nil && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// binaryRecord hashes a program that takes part.
func binaryRecord(role, path string, buildArgs []string) (reports.Binary, error) {
	file, err := os.Open(path)
	if err != nil {
		return reports.Binary{}, fmt.Errorf("%s: %w", role, err)
	}
	defer file.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	if err != nil {
		return reports.Binary{}, fmt.Errorf("%s: %w", role, err)
	}
	return reports.Binary{Role: role, Name: filepath.Base(path), SizeBytes: size, SHA256: hex.EncodeToString(hash.Sum(nil)), BuildArgs: buildArgs}, nil
}

// needPrograms refuses a run whose programs are missing, with the line that installs them.
func needPrograms(why string, programs ...string) error {
	packages := map[string]string{"java": "openjdk-17-jdk-headless", "mvn": "maven", "go": "golang-go"}
	var missing, install []string
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
			install = append(install, packages[program])
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &ExitError{ExitPreflight, fmt.Errorf("%s needs %s, not found here; run: sudo apt-get install -y --no-install-recommends %s\n(the Go clients need no Java: --clients franz-go,sarama)",
		why, strings.Join(missing, " and "), strings.Join(install, " "))}
}

// javaVersion is the first line of `java -version`, "" without Java.
func javaVersion(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "java", "-version").CombinedOutput()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}
