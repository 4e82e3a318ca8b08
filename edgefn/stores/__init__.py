"""Where cached responses are kept. Read `stock` first."""
