// Copyright (c) gcpml contributors
// SPDX-License-Identifier: MPL-2.0

// Command runner measures how fast gcpml reads and writes large results, and how
// fast it starts, beside bq and beside the loop that one writes with Google's Go
// client. All run against the same server, on this machine, which sends bytes that
// it made beforehand, so that the difference is the client's.
//
//	go run ./bench/runner -gcpml bin/gcpml
//
// Rows per second are those of the whole process, from its start to its end. The
// peak is the largest resident set that the kernel saw. Only compare figures of one
// run with each other.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	rows := flag.Int("rows", 1_000_000, "rows of the result, a multiple of 10000")
	flat := flag.Int("flat", 0, "measure gcpml once more with that many rows, to see that its memory does not grow")
	gcpml := flag.String("gcpml", "bin/gcpml", "the gcpml to measure")
	withBQ := flag.Bool("bq", true, "measure bq if it is installed")
	flag.Parse()
	var err error
	switch flag.Arg(0) { // the roles of the children
	case "serve":
		err = serve(*rows, os.Stdout)
	case "plain":
		err = plain(flag.Arg(1), flag.Arg(2), os.Stdout)
	default:
		err = compare(*rows, *flat, *gcpml, *withBQ, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		os.Exit(1)
	}
}

// bench is one run of all.
type bench struct {
	self, gcpml, bq string
	dir             string
	addr            string // of the server
	rows            int
	table           *tabwriter.Writer
	rates           map[string]float64 // rows per second by tool and format
}

func compare(rows, flat int, gcpml string, withBQ bool, out io.Writer) error {
	if rows%batchRows != 0 || flat%batchRows != 0 {
		return fmt.Errorf("-rows and -flat must be multiples of %d", batchRows)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if gcpml, err = filepath.Abs(gcpml); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-runner")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{self: self, gcpml: gcpml, dir: dir, rates: map[string]float64{}, table: tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)}
	if withBQ {
		if b.bq, err = exec.LookPath("bq"); err != nil {
			fmt.Fprintln(out, "bq is not installed: it is left out")
		}
	}
	fmt.Fprintf(b.table, "client\tformat\trows\tseconds\trows/s\t× plain loop\t× bq\tpeak MiB\t\n")
	err = b.server(rows, b.all)
	if err == nil && flat > 0 {
		err = b.server(flat, b.flat)
	}
	return errors.Join(err, b.table.Flush())
}

// server runs measure with a server of that many rows, in a process of its own so
// that its memory and its garbage are not the clients'.
func (b *bench) server(rows int, measure func() error) error {
	cmd := exec.Command(b.self, "-rows", strconv.Itoa(rows), "serve")
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	line, err := bufio.NewReader(pipe).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the server did not start: %w", err)
	}
	b.addr, b.rows = strings.TrimSpace(line), rows
	return measure()
}

func (b *bench) all() error {
	for _, format := range []string{"csv", "json"} {
		// The two that are compared with come first: their figures are needed.
		if b.bq != "" {
			if err := b.measure("bq", format, b.bqCommand("--format="+format, "query", "--nouse_legacy_sql", "--max_rows="+strconv.Itoa(b.rows), "SELECT * FROM bench.result")); err != nil {
				return err
			}
		}
		if err := b.measure("plain Go loop", format, exec.Command(b.self, "plain", b.addr, format)); err != nil {
			return err
		}
		if err := b.measure("gcpml", format, b.gcpmlCommand("bench", format)); err != nil {
			return err
		}
		if err := b.measure("gcpml, REST only", format, b.gcpmlCommand(restOnly, format)); err != nil {
			return err
		}
		if err := b.same(format); err != nil {
			return err
		}
	}
	if err := b.measure("gcpml", "parquet", b.gcpmlCommand("bench", "parquet")); err != nil {
		return err
	}
	return b.start()
}

func (b *bench) flat() error {
	for _, format := range []string{"csv", "json", "parquet"} {
		if err := b.measure("gcpml", format, b.gcpmlCommand("bench", format)); err != nil {
			return err
		}
	}
	return b.measure("gcpml, REST only", "csv", b.gcpmlCommand(restOnly, "csv"))
}

func (b *bench) gcpmlCommand(project, format string) *exec.Cmd {
	cmd := exec.Command(b.gcpml, "run", "--project", project, "--emulator-host", b.addr, "--format", format, "-e", "SELECT * FROM bench.result")
	cmd.Env = b.environment()
	return cmd
}

func (b *bench) bqCommand(args ...string) *exec.Cmd {
	cmd := exec.Command(b.bq, append([]string{"--api=http://" + b.addr, "--project_id=bench", "--quiet", "--headless"}, args...)...)
	token := filepath.Join(b.dir, "token")
	_ = os.WriteFile(token, []byte("not-a-real-token\n"), 0o600)
	cmd.Env = append(b.environment(), "CLOUDSDK_CONFIG="+filepath.Join(b.dir, "config"), "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE="+token,
		"CLOUDSDK_CORE_PROJECT=bench", "CLOUDSDK_CORE_DISABLE_PROMPTS=1", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=1")
	return cmd
}

// environment is ours without what would send a call elsewhere.
func (b *bench) environment() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, "GOOGLE_") || strings.HasPrefix(entry, "GCPML_") || strings.HasPrefix(entry, "CLOUDSDK_") || strings.HasPrefix(entry, "GCLOUD_")
	})
}

func (b *bench) file(client, format string) string {
	return filepath.Join(b.dir, strings.ReplaceAll(client, " ", "-")+"."+format)
}

// measure runs the command with its output in a file and prints one line.
func (b *bench) measure(client, format string, cmd *exec.Cmd) error {
	fmt.Fprintf(os.Stderr, "%s writes %d rows as %s …\n", client, b.rows, format)
	elapsed, peak, err := run(cmd, b.file(client, format))
	if err != nil {
		return fmt.Errorf("%s, %s: %w", client, format, err)
	}
	if format == "csv" {
		if err := countLines(b.file(client, format), b.rows+1); err != nil {
			return fmt.Errorf("%s: %w", client, err)
		}
	}
	rate := float64(b.rows) / elapsed.Seconds()
	b.rates[client+format] = rate
	fmt.Fprintf(b.table, "%s\t%s\t%d\t%.2f\t%.0f\t%s\t%s\t%d\t\n", client, format, b.rows, elapsed.Seconds(), rate,
		b.ratio(rate, "plain Go loop", format), b.ratio(rate, "bq", format), peak)
	return nil
}

// ratio tells how many times as fast as the other client this is.
func (b *bench) ratio(rate float64, other, format string) string {
	if r := b.rates[other+format]; r > 0 {
		return fmt.Sprintf("%.1f", rate/r)
	}
	return "-"
}

// same compares what gcpml wrote by the two ways of reading.
func (b *bench) same(format string) error {
	one, err := os.Open(b.file("gcpml", format))
	if err != nil {
		return err
	}
	defer one.Close()
	other, err := os.Open(b.file("gcpml, REST only", format))
	if err != nil {
		return err
	}
	defer other.Close()
	x, y := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		n, err := io.ReadFull(one, x)
		m, _ := io.ReadFull(other, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return fmt.Errorf("gcpml writes another %s when it reads by REST", format)
		}
		if err != nil {
			return nil
		}
	}
}

// start measures the time of a statement that has next to nothing to do.
func (b *bench) start() error {
	one := func() *exec.Cmd {
		cmd := exec.Command(b.gcpml, "run", "--project", "bench", "--emulator-host", b.addr, "-e", "SELECT 1")
		cmd.Env = b.environment()
		return cmd
	}
	mine, err := median(15, one, b.file("gcpml", "one"))
	if err != nil {
		return err
	}
	fmt.Fprintf(b.table, "gcpml\tSELECT 1\t1\t%.3f\t\t\t", mine.Seconds())
	if b.bq == "" {
		fmt.Fprintf(b.table, "-\t\t\n")
		return nil
	}
	theirs, err := median(5, func() *exec.Cmd { return b.bqCommand("query", "--nouse_legacy_sql", "SELECT 1") }, b.file("bq", "one"))
	if err != nil {
		return err
	}
	fmt.Fprintf(b.table, "%.1f\t\t\nbq\tSELECT 1\t1\t%.3f\t\t\t\t\t\n", theirs.Seconds()/mine.Seconds(), theirs.Seconds())
	return nil
}

func median(times int, command func() *exec.Cmd, file string) (time.Duration, error) {
	var all []time.Duration
	for range times {
		elapsed, _, err := run(command(), file)
		if err != nil {
			return 0, err
		}
		all = append(all, elapsed)
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// run returns how long the command took and the peak of its memory in MiB. (A child
// inherits the peak of its parent, which is why this process does nothing but wait.)
func run(cmd *exec.Cmd, file string) (time.Duration, int, error) {
	out, err := os.Create(file)
	if err != nil {
		return 0, 0, err
	}
	defer out.Close()
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = out, &stderr
	start := time.Now()
	if err := cmd.Run(); err != nil {
		printed, _ := os.ReadFile(file) // where bq tells of its errors
		return 0, 0, fmt.Errorf("%w: %s%.2000s", err, bytes.TrimSpace(stderr.Bytes()), printed)
	}
	elapsed := time.Since(start)
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return elapsed, 0, nil
	}
	return elapsed, int(usage.Maxrss) >> 10, nil
}

func countLines(file string, want int) error {
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	lines, buffer := 0, make([]byte, 1<<16)
	for {
		n, err := in.Read(buffer)
		lines += bytes.Count(buffer[:n], []byte{'\n'})
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if lines != want {
		return fmt.Errorf("wrote %d lines and not %d", lines, want)
	}
	return nil
}
