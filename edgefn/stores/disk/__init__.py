"""Cached responses on disk: shared by all processes of a location, outliving each of them."""
