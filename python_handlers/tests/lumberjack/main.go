// Command receiver is a Lumberjack (Beats protocol) server for tests: the reference implementation's server with TLS,
// which writes each event that it acknowledges as a line of JSON.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"time"

	"github.com/elastic/go-lumber/server"
)

func main() {
	certificate := flag.String("certificate", "", "PEM chain of the server")
	key := flag.String("key", "", "its key")
	authorities := flag.String("ca", "", "PEM file of the authorities that sign clients")
	hold := flag.Duration("hold", 0, "time from receiving a batch to acknowledging it")
	keepalive := flag.Duration("keepalive", 3*time.Second, "interval of acknowledgements of nothing")
	port := flag.Int("port", 0, "port on the loopback address, 0 for any")
	flag.Parse()

	pair, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		log.Fatal(err)
	}
	pem, err := os.ReadFile(*authorities)
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	listener, err := tls.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port), &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientCAs:    pool,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MinVersion:   tls.VersionTLS12,
	})
	if err != nil {
		log.Fatal(err)
	}
	reference, err := server.NewWithListener(listener, server.V2(true), server.Keepalive(*keepalive))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"port\":%d}\n", listener.Addr().(*net.TCPAddr).Port)
	encoder := json.NewEncoder(os.Stdout)
	for batch := range reference.ReceiveChan() {
		time.Sleep(*hold)
		for _, event := range batch.Events {
			if err := encoder.Encode(event); err != nil {
				log.Fatal(err)
			}
		}
		batch.ACK()
	}
}
