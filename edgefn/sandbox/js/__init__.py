"""JavaScript in WebAssembly: QuickJS-ng as a guest, with what CloudFront Functions and plain Lambda@Edge handlers need."""
