"""What happens to a request. Read `walk` first."""
