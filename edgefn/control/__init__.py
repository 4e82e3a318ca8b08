"""The control plane: what operators and the command line talk to."""
