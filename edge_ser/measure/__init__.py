"""What a model is worth: accuracy with its uncertainty, reports. Never torch."""
