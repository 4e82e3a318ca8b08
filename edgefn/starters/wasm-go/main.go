// viewer-request or origin-request: /docs and /docs/ are /docs/index.html. A WASI command: the event comes on standard
// input, the request goes to standard output, the log to standard error; see docs/wasm-abi.md.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
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
	if err := handle(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func handle() error {
	var given event
	decoder := json.NewDecoder(os.Stdin)
	decoder.UseNumber()
	if err := decoder.Decode(&given); err != nil {
		return err
	}
	if len(given.Records) == 0 {
		return fmt.Errorf("the event has no records")
	}
	request := given.Records[0].CF.Request
	uri, ok := request["uri"].(string)
	if !ok {
		return fmt.Errorf("the event has no request with a uri")
	}
	request["uri"] = uri + missing(uri)
	return json.NewEncoder(os.Stdout).Encode(request)
}

// missing returns what makes a path the path of a file.
func missing(uri string) string {
	if strings.HasSuffix(uri, "/") {
		return "index.html"
	}
	name := path.Base("/" + uri)
	if dot := strings.Index(name, "."); dot >= 0 && dot+1 < len(name) {
		return ""
	}
	return "/index.html"
}
