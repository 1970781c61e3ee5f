//go:build tools

package main

// Pins the program of a real S3 server, which the long tests of archives build.
import _ "github.com/versity/versitygw/cmd/versitygw"
