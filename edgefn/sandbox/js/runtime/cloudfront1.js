// cloudfront-js-1.0: what it has besides, and what a digest without an encoding is.

class MemoryError extends Error {
  get name() { return 'MemoryError'; }
}
hidden(globalThis, 'MemoryError', MemoryError);

digested = (bytes) => latin1Text(bytes);
