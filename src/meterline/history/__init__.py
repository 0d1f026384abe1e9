"""The ledger: what the registers of each meter stood at, at regular edges, for ever.

day_row    one UTC day of one meter: registers at its edges, each with its origin; in a form for the disk, and back
ledger     the SQLite file of all rows: checked, revised, mended
salvage    rows out of a damaged file, page by page
generations  which of the meters that had one name speaks
recorder   what meters say → the rows of today
"""
