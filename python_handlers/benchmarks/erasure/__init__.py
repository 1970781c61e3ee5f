"""One user of ten thousand is erased from a million events that lie in every kind of place."""
