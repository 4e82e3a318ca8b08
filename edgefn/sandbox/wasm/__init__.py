"""Functions as WebAssembly guests: fibers on the event loop, a fresh instance for each invocation."""
