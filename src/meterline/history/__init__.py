"""The ledger: what the registers of each meter stood at, at regular edges, for ever.

day_row    one UTC day of one meter: registers at its edges, each with its origin; in a form for the disk, and back
ledger     the SQLite file of all rows: checked, revised, mended
salvage    rows out of a damaged file, page by page
generations  which of the meters that had one name speaks
recorder   what meters say → the rows of today, and what they remember → the rows of days before
healing    what a meter remembers of its registers → the rows of the days that it speaks of
known_edges  which edges of the last 99 days are known, a bit for each
"""
