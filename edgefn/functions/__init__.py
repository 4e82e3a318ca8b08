"""The home of functions: their bundles, versions, warm sandboxes and logs."""
