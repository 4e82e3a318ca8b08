"""JavaScript in WebAssembly: QuickJS-ng as a guest, for CloudFront Functions and plain Lambda@Edge handlers."""
