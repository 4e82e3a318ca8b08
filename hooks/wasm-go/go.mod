module pretty-urls

go 1.21
