"""Decimals of an amount, by its currency. Written by docs/generate_currencies.py, a part of `make docs`.

The source is Babel with the data of the CLDR, which counts the decimals that people use: the dinar of Iraq has none,
although ISO 4217 gives it three.
"""

USUAL = 2
OTHERS = {
    "ADP": 0,
    "AFN": 0,
    "ALL": 0,
    "BHD": 3,
    "BIF": 0,
    "BYR": 0,
    "CLF": 4,
    "CLP": 0,
    "COP": 0,
    "DJF": 0,
    "ESP": 0,
    "GNF": 0,
    "HUF": 0,
    "IDR": 0,
    "IQD": 0,
    "IRR": 0,
    "ISK": 0,
    "ITL": 0,
    "JOD": 3,
    "JPY": 0,
    "KMF": 0,
    "KPW": 0,
    "KRW": 0,
    "KWD": 3,
    "LAK": 0,
    "LBP": 0,
    "LUF": 0,
    "LYD": 3,
    "MGA": 0,
    "MGF": 0,
    "MMK": 0,
    "MRO": 0,
    "OMR": 3,
    "PYG": 0,
    "RWF": 0,
    "SLL": 0,
    "SOS": 0,
    "STD": 0,
    "SYP": 0,
    "TMM": 0,
    "TND": 3,
    "TRL": 0,
    "UGX": 0,
    "UYI": 0,
    "UYW": 4,
    "VND": 0,
    "VUV": 0,
    "XAF": 0,
    "XOF": 0,
    "XPF": 0,
    "YER": 0,
    "ZMK": 0,
    "ZWD": 0,
}
"""ISO 4217 → decimals, of all currencies that have not the usual number; also of those that are not in use any more."""


def digits(currency: str | None) -> int:
    """Decimals of an amount, by its currency (ISO 4217): 0 with JPY, 2 with EUR, 3 with KWD."""
    return OTHERS.get(currency or "", USUAL)
