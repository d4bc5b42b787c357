"""Speed, as ratios. Not part of the installed package."""
