package stent_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The README's first example is the file that it names, and runs as printed, in a module of its own.
func TestTheReadmesExampleRunsAsPrinted(t *testing.T) {
	text := string(must[[]byte](t)(os.ReadFile("README.md")))
	_, rest, _ := strings.Cut(text, "```go\n")
	example, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("README.md has no block that begins with ```go")
	}
	same(t, string(must[[]byte](t)(os.ReadFile("examples/hello/main.go"))), example)

	here, folder := must[string](t)(os.Getwd()), t.TempDir()
	module := "module hello\n\ngo 1.19\n\nrequire stent v0.0.0\n\nreplace stent => " + here + "\n"
	check(t, os.WriteFile(filepath.Join(folder, "main.go"), []byte(example), 0o644))
	check(t, os.WriteFile(filepath.Join(folder, "go.mod"), []byte(module), 0o644))
	// Twice: the second run finds the file of the first.
	for i := 0; i < 2; i++ {
		command := exec.Command("go", "run", ".")
		command.Dir = folder
		said, err := command.CombinedOutput()
		if err != nil || string(said) != "hello, world!\n" {
			t.Fatalf("%v: %s", err, said)
		}
	}
	must[os.FileInfo](t)(os.Stat(filepath.Join(folder, "hello.db")))
}
