"""The nouns: values that every floor shares. No I/O, no clock, no loop."""
