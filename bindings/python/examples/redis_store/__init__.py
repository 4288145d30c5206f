"""A store for Stent on Redis, with every guarantee of the stores of the library."""
