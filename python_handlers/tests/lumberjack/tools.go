//go:build tools

package main

// Pins the reference server's own program, too.
import _ "github.com/elastic/go-lumber/cmd/tst-lj"
