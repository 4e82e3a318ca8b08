"""Configuration text to frozen settings, with errors that name the line. Pure: files are read by the caller."""
