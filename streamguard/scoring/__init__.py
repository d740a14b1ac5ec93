"""From raw scores to a verdict: calibrate each, add them up, say what that means for a face and for a person."""
