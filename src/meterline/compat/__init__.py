"""The exporters that are replaced: for each an adapter (its settings → our configuration) and a page of its metrics."""
