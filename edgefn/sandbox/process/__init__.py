"""Node.js and Python functions in locked-down subprocesses."""
