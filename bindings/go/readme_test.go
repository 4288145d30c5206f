package stent_test

import (
	"archive/zip"
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	stent "github.com/stent-dev/stent/bindings/go"
)

const module = "github.com/stent-dev/stent/bindings/go"

// The README's first example is the file that it names, and runs as printed, in a module of its own: this one comes from a
// proxy, as from the network, and the library from where it is installed.
func TestTheReadmesExampleRunsAsPrinted(t *testing.T) {
	text := string(must[[]byte](t)(os.ReadFile("README.md")))
	_, rest, _ := strings.Cut(text, "```go\n")
	example, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("README.md has no block that begins with ```go")
	}
	same(t, string(must[[]byte](t)(os.ReadFile("examples/hello/main.go"))), example)

	folder, root, version := t.TempDir(), t.TempDir(), "v"+stent.Version()
	install := exec.Command("../../scripts/install/run", "install")
	install.Env = append(os.Environ(), "DESTDIR="+root, "PREFIX=/opt/stent")
	if said, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	library := filepath.Join(root, "opt/stent/lib")
	environment := append(os.Environ(), "CGO_LDFLAGS=", "PKG_CONFIG_LIBDIR="+filepath.Join(library, "pkgconfig"),
		"PKG_CONFIG_SYSROOT_DIR="+root, "LD_LIBRARY_PATH="+library, "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local", "GOPRIVATE=",
		"GOSUMDB=off", "GOPROXY=file://"+proxyOf(t, version), "GOMODCACHE="+t.TempDir())
	run := func(arguments ...string) string {
		t.Helper()
		command := exec.Command("go", arguments...)
		command.Dir, command.Env = folder, environment
		said := new(bytes.Buffer)
		command.Stderr = said
		answer, err := command.Output()
		if err != nil {
			t.Fatalf("go %s: %v: %s", strings.Join(arguments, " "), err, said)
		}
		return string(answer)
	}
	// What is said by a program that can't find the library: what it has looked for, and where it is named.
	fails := func(add []string, program string, arguments ...string) string {
		t.Helper()
		command := exec.Command(program, arguments...)
		command.Dir, command.Env = folder, append(environment, add...)
		said, err := command.CombinedOutput()
		if err == nil {
			t.Fatalf("%s has not failed: %s", program, said)
		}
		return string(said)
	}
	check(t, os.WriteFile(filepath.Join(folder, "main.go"), []byte(example), 0o644))
	run("mod", "init", "hello")
	blocks := strings.Split(text, "```sh\n")[1:]
	lines := func(block int) string { lines, _, _ := strings.Cut(blocks[block], "```"); return lines }
	shell := func(folder, lines string, more ...string) string {
		t.Helper()
		command := exec.Command("sh", "-ec", lines)
		command.Dir, command.Env = folder, append(environment[:len(environment):len(environment)], more...)
		said := new(bytes.Buffer)
		command.Stderr = said
		answer, err := command.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", lines, err, said)
		}
		return string(answer)
	}
	get, build, _ := strings.Cut(lines(0), "\n")
	shell(folder, get)
	same(t, run("list", "-m", module), module+" "+version+"\n")
	// Before it is built: what is in go's cache asks pkg-config for nothing.
	contains(t, fails([]string{"PKG_CONFIG_LIBDIR=" + t.TempDir()}, "go", "build", "."), "`stent.pc'", "PKG_CONFIG_PATH")
	same(t, shell(folder, build), "hello, world!\n")
	must[os.FileInfo](t)(os.Stat(filepath.Join(folder, "hello.db")))

	run("mod", "vendor")
	must[os.FileInfo](t)(os.Stat(filepath.Join(folder, "vendor", module, "stent.h")))
	// What is vendored is all there is. The file of the first run is found again.
	environment = append(environment, "GOPROXY=off", "GOMODCACHE="+t.TempDir())
	same(t, run("run", "-mod=vendor", "."), "hello, world!\n")

	// A library that is not installed; and the repository's own.
	elsewhere := []string{"PKG_CONFIG_LIBDIR=" + t.TempDir(), "LD_LIBRARY_PATH=", "GOFLAGS=-modcacherw"}
	same(t, shell(folder, strings.ReplaceAll(lines(1), "/opt/stent", library)+"./hello", elsewhere...), "hello, world!\n")
	repository := t.TempDir()
	check(t, os.MkdirAll(filepath.Join(repository, "bindings"), 0o755))
	check(t, os.MkdirAll(filepath.Join(repository, "target"), 0o755))
	check(t, os.Symlink(must[string](t)(filepath.Abs(os.Getenv("STENT_LIB_DIR"))), filepath.Join(repository, "target/release")))
	if said, err := exec.Command("cp", "-r", ".", filepath.Join(repository, "bindings/go")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	same(t, shell(repository, lines(2), elsewhere...), "hello, world!\n")
	if len(blocks) != 3 {
		t.Fatalf("README.md has %d blocks for a shell, and three are run here", len(blocks))
	}

	run("build", "-mod=vendor", "-o", "hello", ".")
	contains(t, fails([]string{"LD_LIBRARY_PATH="}, "./hello"), "libstent.so.0: cannot open shared object file")
}

// A folder that holds this module as the go command gets it from a proxy.
func proxyOf(t *testing.T, version string) string {
	t.Helper()
	proxy := t.TempDir()
	place := filepath.Join(proxy, module, "@v")
	check(t, os.MkdirAll(place, 0o755))
	archive := new(bytes.Buffer)
	writer := zip.NewWriter(archive)
	add := func(name, path string) {
		t.Helper()
		file := must[io.Writer](t)(writer.Create(module + "@" + version + "/" + name))
		must[int](t)(file.Write(must[[]byte](t)(os.ReadFile(path))))
	}
	check(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			// A module within is none of this one's.
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != "." {
				return filepath.SkipDir
			}
			return nil
		}
		add(filepath.ToSlash(path), path)
		return nil
	}))
	// As the go command does it for a module in a repository's folder.
	add("LICENSE", "../../LICENSE")
	check(t, writer.Close())
	for name, content := range map[string][]byte{
		"list":            []byte(version + "\n"),
		version + ".info": []byte(`{"Version": "` + version + `", "Time": "2026-01-01T00:00:00Z"}`),
		version + ".mod":  must[[]byte](t)(os.ReadFile("go.mod")),
		version + ".zip":  archive.Bytes(),
	} {
		check(t, os.WriteFile(filepath.Join(place, name), content, 0o644))
	}
	return proxy
}

func contains(t *testing.T, said string, wanted ...string) {
	t.Helper()
	for _, each := range wanted {
		if !strings.Contains(said, each) {
			t.Fatalf("%q is not in: %s", each, said)
		}
	}
}
