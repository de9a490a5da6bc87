"""A made-up shop app: the same people, products and days for the same seed, counted back from today."""
