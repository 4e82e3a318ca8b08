"""What a location takes over from its fleet's replica into its own: last known good, whatever becomes of the fleet."""
