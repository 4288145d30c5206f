//go:build race

package stent_test

const raceDetector = true
