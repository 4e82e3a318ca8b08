"""The composition root: settings to parts to a running location. Alone reads the clock, the dice, the environment."""
