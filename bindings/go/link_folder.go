//go:build stent_lib_dir

package stent

// A library that is not installed: CGO_LDFLAGS names its folder; after that the repository's own is looked into.

// #cgo LDFLAGS: -L${SRCDIR}/../../target/release -lstent -Wl,-rpath,${SRCDIR}/../../target/release
import "C"
