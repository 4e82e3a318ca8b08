"""The replica of one machine: a database that several processes share, and a directory of blobs."""
