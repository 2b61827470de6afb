"""Systems, folds and their kept results."""
