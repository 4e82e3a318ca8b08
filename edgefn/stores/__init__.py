"""Where cached responses are kept."""
