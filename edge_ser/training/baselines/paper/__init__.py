"""Network and training recipe of arXiv 2507.03251, as in its notebooks."""
