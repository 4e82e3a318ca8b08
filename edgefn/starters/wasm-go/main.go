// viewer-request: a folder is its index.html. A WASI command: the event comes on standard input, the request goes to
// standard output, the log to standard error; see docs/wasm-abi.md.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

type event struct {
	Records []struct {
		CF struct {
			Request map[string]any `json:"request"`
		} `json:"cf"`
	}
}

func main() {
	var given event
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil || len(given.Records) == 0 {
		fmt.Fprintln(os.Stderr, "no event:", err)
		os.Exit(1)
	}
	request := given.Records[0].CF.Request
	if uri, ok := request["uri"].(string); ok && strings.HasSuffix(uri, "/") {
		request["uri"] = uri + "index.html"
	}
	json.NewEncoder(os.Stdout).Encode(request)
}
