// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package modbuild

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// tick is how often a running build says how far it is.
const tick = 10 * time.Second

// buildArgs are the arguments of go for what goes to out. No cgo, no paths and no
// debugging information, so that the same source gives the same file everywhere.
func (s source) buildArgs(out string) []string {
	flags := []string{"-s", "-w"}
	for _, v := range s.target.Values(s.version) {
		flags = append(flags, "-X", v[0]+"="+v[1])
	}
	return append([]string{
		"build", "-v", "-buildvcs=false", "-trimpath", "-gcflags=all=-dwarf=false",
		"-ldflags", strings.Join(flags, " "), "-o", out,
	}, s.target.Packages...)
}

// build compiles and links the target into the folder dir, and tells log what it
// is doing.
func (s source) build(ctx context.Context, dir string, log io.Writer) error {
	p := &progress{log: log, target: s.target, start: time.Now()}
	p.say("building "+s.target.What, s.version)
	p.say("%s", s.target.Patience)
	total, err := s.count(ctx, p)
	if err != nil {
		return err
	}
	p.total = total
	if err := s.goCommand(ctx, p, s.buildArgs(dir+string(filepath.Separator))...); err != nil {
		return fmt.Errorf("build the %s in %s: %w", s.target.Name, s.dir, err)
	}
	size := int64(0)
	for _, name := range s.target.Programs {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("look at what was built: %w", err)
		}
		size += info.Size()
	}
	p.say("done: %d MB", size>>20)
	return nil
}

// count says how many packages the build has to go through, and downloads the
// modules on the way.
func (s source) count(ctx context.Context, p *progress) (int, error) {
	cmd := s.command(ctx, append([]string{"list", "-deps", "-f", "{{.ImportPath}}"}, s.target.Packages...)...)
	stop := p.watch()
	defer stop()
	cmd.Stderr = p
	list, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("download the modules that %s/go.mod names: %w "+
			"(they come from GOPROXY=%s; is it reachable?)", s.dir, err, goproxy())
	}
	return strings.Count(string(list), "\n"), nil
}

func goproxy() string {
	if proxy := os.Getenv("GOPROXY"); proxy != "" {
		return proxy
	}
	return "the default"
}

func (s source) goCommand(ctx context.Context, p *progress, args ...string) error {
	cmd := s.command(ctx, args...)
	stop := p.watch()
	defer stop()
	cmd.Stdout, cmd.Stderr = p, p
	return cmd.Run()
}

// command is go in the module's folder, shielded from settings that would change
// the binary.
func (s source) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "PWD="+s.dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// progress reads what the go command prints and makes a line now and then of it.
// Names of packages and downloads are counted; anything else is passed on.
type progress struct {
	log    io.Writer
	target Target
	start  time.Time
	total  int

	mu        sync.Mutex
	rest      []byte
	packages  int
	downloads int
	last      string
}

// Write takes the go command's output, in pieces of any size.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, b...)
	for {
		n, line, err := bufio.ScanLines(p.rest, false)
		if n == 0 || err != nil {
			return len(b), nil
		}
		p.line(string(line))
		p.rest = p.rest[n:]
	}
}

func (p *progress) line(line string) {
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		p.downloads++
		p.last = strings.TrimPrefix(line, "go: downloading ")
	case !strings.ContainsAny(line, " \t:#") && line != "":
		p.packages++
		p.last = line
	default:
		fmt.Fprintln(p.log, line)
	}
}

// watch prints a line of progress every tick until stop is called.
func (p *progress) watch() (stop func()) {
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				p.report()
			}
		}
	}()
	return func() { close(done); <-ended }
}

func (p *progress) report() {
	p.mu.Lock()
	packages, downloads, last := p.packages, p.downloads, p.last
	p.mu.Unlock()
	switch {
	case packages == 0 && downloads == 0:
		p.say("looking at what has to be built")
	case packages == 0:
		p.say("downloading modules: %d so far (%s)", downloads, last)
	case p.target.main(last):
		p.say("linking")
	default:
		p.say("compiled %d of at most %d packages (%s)", packages, p.total, last)
	}
}

func (p *progress) say(format string, args ...any) {
	elapsed := time.Since(p.start).Round(time.Second)
	fmt.Fprintf(p.log, "%s: %6s  %s\n", p.target.Name, elapsed, fmt.Sprintf(format, args...))
}
