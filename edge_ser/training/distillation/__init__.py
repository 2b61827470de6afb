"""Teacher features, and pretraining by imitation of them."""
