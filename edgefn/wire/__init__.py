"""Bytes to messages and back. Read `inbound` first for viewers, `pool` and `outbound` for origins."""
