"""The network and the recipe of arXiv 2507.03251, as its notebooks have them."""
