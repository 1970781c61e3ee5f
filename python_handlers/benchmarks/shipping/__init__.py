"""Ways of shipping log events, measured beside each other on one machine: ``python -m benchmarks.shipping --help``.

One process sends (:mod:`.sender`), one receives and counts numbered events (:mod:`.sink`), and this one lets things
happen to them (:mod:`.measures`). What is compared is in :mod:`.setups`, a small module each.
"""
