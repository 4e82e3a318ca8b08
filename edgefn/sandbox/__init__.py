"""Where functions run: one promise (`base`), several ways to keep it."""
