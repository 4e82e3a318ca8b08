"""The replica of fleets: NATS JetStream 2.12 or newer, and what it takes to speak with it (extra `cluster`)."""
