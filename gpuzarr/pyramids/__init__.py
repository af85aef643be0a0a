"""Arrays in several resolutions: each level is made of the one before it."""
