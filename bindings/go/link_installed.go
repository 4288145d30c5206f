//go:build !stent_lib_dir

package stent

// The library that is installed, as its stent.pc says.

// #cgo pkg-config: stent
import "C"
