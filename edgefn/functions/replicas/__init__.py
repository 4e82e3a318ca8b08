"""Where what is published is kept, and how it gets to every location: one promise (`base`), two engines."""
